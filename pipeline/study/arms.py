"""What must hold of a study's arms: what they compare, and whether each engine can spend its budget."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pipeline.errors import Problem, as_key, as_toml, nearest
from pipeline.space import Hyperparameter
from pipeline.study.checks import Draft
from pipeline.study.definition import PRUNERS, SAMPLERS

COMPARABLE = {
    "engine": tuple(SAMPLERS),
    "sampler": tuple(dict.fromkeys(sum(SAMPLERS.values(), ()))),
    "pruner": PRUNERS,
}
MAX_ARMS = 32
MAX_TRIALS = 100_000


def arm_checks(draft: Draft) -> Iterator[Problem]:
    """Every problem of [compare], and of [search] seen with it."""
    compare = draft.tables["compare"]
    if len(compare) > 1:
        advice = "Keep one; ask the other question in a study of its own."
        yield Problem("must compare one thing.", ", ".join(map(as_key, compare)), advice, "[compare]")
    for key, table in compare.items():
        yield from _compared(key, table, draft)
    yield from _samplers(draft)
    yield from _optuna_only(draft)
    yield from _grid(draft)


def _compared(key: str, table: object, draft: Draft) -> Iterator[Problem]:
    where = f"[compare] {as_key(key)}"
    if key not in COMPARABLE and key not in draft.learner.hyperparameters:
        advice = nearest(key, [*COMPARABLE, *draft.learner.hyperparameters])
        yield Problem("cannot be compared.", as_key(key), advice, where)
    elif key in draft.tables["space"] or key in draft.tables["fixed"]:
        advice = f"Remove {key} from [compare], or from [space] or [fixed]."
        yield Problem("must not be searched or fixed as well.", key, advice, where)
    values = table.get("choice") if isinstance(table, dict) and len(table) == 1 else None
    if not isinstance(values, list) or not 2 <= len(values) <= MAX_ARMS:
        advice = f"Write {as_key(key)} = {{ choice = [first, second] }}."
        yield Problem(f"must be a choice of 2 to {MAX_ARMS} values.", as_toml(table), advice, where)
        return
    known = draft.learner.hyperparameters.get(key)
    wrong = [problem for problem in (_wrong(key, value, known) for value in values) if problem]
    yield from (problem.at(where) for problem in wrong)
    exact = values if wrong or not known else [known.exact(value) for value in values]
    if any(value in exact[:index] for index, value in enumerate(exact)):
        yield Problem("must not repeat a value.", as_toml(values), "Remove the repeated value.", where)


def _wrong(key: str, value: object, known: Hyperparameter | None) -> Problem | None:
    if key in COMPARABLE and value not in COMPARABLE[key]:
        return Problem(f"unknown {key}.", as_toml(value), nearest(str(value), COMPARABLE[key]))
    return known.problem(value) if known else None


def _over_arms(draft: Draft, key: str) -> list[Any]:
    """The known values that a setting of [search] takes over the arms."""
    table = draft.tables["compare"].get(key)
    values = table.get("choice") if isinstance(table, dict) else None
    if not isinstance(values, list):
        values = [getattr(draft.search, key)]
    return [value for value in values if value is None or value in COMPARABLE[key] or key == "sampler"]


def _place(draft: Draft, key: str) -> str:
    return f"[compare] {key}" if key in draft.tables["compare"] else f"[search] {key}"


def _samplers(draft: Draft) -> Iterator[Problem]:
    for engine in _over_arms(draft, "engine"):
        for sampler in _over_arms(draft, "sampler"):
            if sampler is None or sampler in SAMPLERS[engine]:
                continue
            if "sampler" in draft.tables["compare"] and sampler not in COMPARABLE["sampler"]:
                continue
            advice = nearest(str(sampler), SAMPLERS[engine])
            where = _place(draft, "sampler")
            yield Problem(f"unknown sampler of {engine}.", as_toml(sampler), advice, where)


def _optuna_only(draft: Draft) -> Iterator[Problem]:
    engines = _over_arms(draft, "engine")
    if "keras_tuner" in engines and draft.search.start_with:
        must, advice = "start_with needs the engine optuna.", 'Drop start_with, or set engine = "optuna".'
        yield Problem(must, "keras_tuner", advice, "[search] start_with")
    pruners = [pruner for pruner in _over_arms(draft, "pruner") if pruner != "none"]
    if engines == ["keras_tuner"] and pruners:
        must, advice = "a pruner needs the engine optuna.", 'Drop pruner, or set sampler = "hyperband".'
        yield Problem(must, ", ".join(pruners), advice, _place(draft, "pruner"))


def _grid(draft: Draft) -> Iterator[Problem]:
    if "grid" not in _over_arms(draft, "sampler"):
        return
    if draft.search.start_with:
        must, advice = "a grid tries every point of the space anyway.", "Drop start_with."
        yield Problem(must, as_toml(draft.search.start_with), advice, "[search] start_with")
    endless = [entry.name for entry in draft.space if entry.values.num_points() is None]
    if endless:
        must = "a grid needs values that can be counted."
        advice = "Give each a step and no log, or make it a choice."
        yield Problem(must, ", ".join(endless), advice, "[space]")
    points = draft.space.grid_size()
    if points is not None and points > draft.search.trials:
        must, received = f"a grid of {points} points needs as many trials.", f"trials = {draft.search.trials}"
        advice = f"Set trials = {points}, or thin the grid." if points <= MAX_TRIALS else "Thin the grid."
        yield Problem(must, received, advice, "[search] trials")
