"""What must hold between the tables of a study file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.errors import Problem, nearest, shortened
from pipeline.space import DEFAULTS, HYPERPARAMETERS, Choice, Dimension, Space
from pipeline.study.definition import PRUNERS, SAMPLERS, Objective, Search

Tables = Mapping[str, Mapping[str, Any]]
COMPARABLE = {"engine": tuple(SAMPLERS), "sampler": sum(SAMPLERS.values(), ()), "pruner": PRUNERS}
NEVER_SEARCHED = ("epochs",)


def cross_checks(
    raw: Mapping[str, Any], tables: Tables, space: Space, search: Search | None, objective: Objective | None
) -> list[Problem]:
    """Every problem that shows only when two places of the file are seen together."""
    problems = list(_space(raw, tables, space))
    problems += _parents(space)
    problems += _baseline(tables, space)
    problems += _compare(tables, space)
    if objective and (objective.maximize is None) == (objective.minimize is None):
        received = shortened(repr(raw.get("objective")))
        advice = 'Write objective = { maximize = "val_accuracy" }.'
        problems.append(Problem("must have one of maximize, minimize.", received, advice, "objective"))
    if search:
        problems += _start_with(search, space)
        problems += _samplers(tables, search)
        problems += _grid(tables, search, space)
    return problems


def _space(raw: Mapping[str, Any], tables: Tables, space: Space) -> Iterator[Problem]:
    if "space" in raw and not tables["space"]:
        yield Problem(
            "must have at least one entry.",
            "an empty table",
            "Add learning_rate = { float = [1e-4, 1e-2], log = true }.",
            "[space]",
        )
    for entry in space:
        where = f"[space] {entry.name}"
        known = HYPERPARAMETERS.get(entry.name)
        if known is None:
            yield Problem("unknown hyperparameter.", entry.name, nearest(entry.name, HYPERPARAMETERS), where)
        elif entry.name in NEVER_SEARCHED:
            yield Problem("must be fixed, not searched.", entry.name, f"Move {entry.name} to [fixed].", where)
        else:
            yield from _bounds(entry, where)
        if entry.name in tables["fixed"]:
            yield Problem(
                "must not be fixed and searched at once.",
                entry.name,
                "Remove it from [fixed] or from [space].",
                where,
            )


def _bounds(entry: Dimension, where: str) -> Iterator[Problem]:
    known = HYPERPARAMETERS[entry.name]
    values = entry.values
    ends = values.values if isinstance(values, Choice) else (values.low, values.high)
    if known.kind is int and not isinstance(values, Choice) and not values.is_int:
        yield Problem("must be searched as int.", "float", "Write int = [low, high].", where)
        return
    for value in ends:
        if not known.admits(value):
            advice = nearest(str(value), known.words) if known.words else "Change the value."
            yield Problem(f"must be {known.bounds()}.", shortened(repr(value)), advice, where)


def _parents(space: Space) -> Iterator[Problem]:
    before: dict[str, Dimension] = {}
    for entry in space:
        where = f"[space] {entry.name}"
        if entry.parent:
            name, values = entry.parent
            parent = before.get(name)
            if parent is None:
                yield Problem(
                    "when must name a hyperparameter searched above this one.",
                    f"when = {{ {name} = ... }}",
                    f"Put {name} into [space] above {entry.name}, or drop when.",
                    where,
                )
            else:
                for value in values:
                    if not parent.values.holds(value):
                        yield Problem(
                            f"when must name a value that {name} can take.",
                            shortened(repr(value)),
                            f"Choose a value from [space] {name}.",
                            where,
                        )
        before[entry.name] = entry


def _inside(values: Mapping[str, Any], space: Space, where: str) -> Iterator[Problem]:
    for entry in space:
        known = HYPERPARAMETERS.get(entry.name)
        if entry.name in values and known and known.admits(values[entry.name]):
            value = values[entry.name]
            exact = float(value) if known.kind is float else value
            if not (entry.values.holds(exact) or entry.values.holds(value)):
                yield Problem(
                    "must lie inside the space, or the search could never find it.",
                    shortened(repr(value)),
                    f"Widen [space] {entry.name}, or change the value.",
                    f"{where} {entry.name}",
                )


def _baseline(tables: Tables, space: Space) -> Iterator[Problem]:
    yield from _inside(tables["baseline"], space, "[baseline]")


def _start_with(search: Search, space: Space) -> Iterator[Problem]:
    for index, values in enumerate(search.start_with):
        where = f"[search] start_with[{index}]"
        for name in values:
            if name not in space.names:
                yield Problem("must name searched hyperparameters.", name, nearest(name, space.names), where)
            elif not HYPERPARAMETERS.get(name, HYPERPARAMETERS["model"]).admits(values[name]):
                yield Problem(
                    f"must be {HYPERPARAMETERS[name].bounds()}.",
                    shortened(repr(values[name])),
                    "Change the value.",
                    f"{where} {name}",
                )
        yield from _inside(values, space, where)


def _compare(tables: Tables, space: Space) -> Iterator[Problem]:
    compare = tables["compare"]
    if len(compare) > 1:
        yield Problem(
            "must compare one thing.",
            ", ".join(compare),
            "Keep one; ask the other question in a study of its own.",
            "[compare]",
        )
    for key, table in compare.items():
        where = f"[compare] {key}"
        values = table.get("choice") if isinstance(table, dict) and len(table) == 1 else None
        if not isinstance(values, list) or len(values) < 2 or len({str(v) for v in values}) < len(values):
            yield Problem(
                "must be a choice of two or more different values.",
                shortened(repr(table)),
                f"Write {key} = {{ choice = [first, second] }}.",
                where,
            )
        elif key in COMPARABLE:
            for value in values:
                if value not in COMPARABLE[key]:
                    yield Problem(
                        f"unknown {key}.", shortened(repr(value)), nearest(str(value), COMPARABLE[key]), where
                    )
        elif key not in DEFAULTS:
            yield Problem("cannot be compared.", key, nearest(key, [*COMPARABLE, *DEFAULTS]), where)
        elif key in space.names or key in tables["fixed"]:
            yield Problem(
                "must not be searched or fixed as well.", key, f"Remove {key} from [space] or [fixed].", where
            )
        else:
            known = HYPERPARAMETERS[key]
            for value in (value for value in values if not known.admits(value)):
                yield Problem(
                    f"must be {known.bounds()}.", shortened(repr(value)), "Change the value.", where
                )


def _arm_values(tables: Tables, search: Search, key: str) -> list[Any]:
    """The values that `key` takes over the arms."""
    table = tables["compare"].get(key)
    values = table.get("choice") if isinstance(table, dict) else None
    return values if isinstance(values, list) else [getattr(search, key)]


def _samplers(tables: Tables, search: Search) -> Iterator[Problem]:
    for engine in _arm_values(tables, search, "engine"):
        known = SAMPLERS.get(str(engine), ())
        for sampler in _arm_values(tables, search, "sampler"):
            if known and sampler is not None and sampler not in known:
                yield Problem(
                    f"unknown sampler of {engine}.",
                    shortened(repr(sampler)),
                    nearest(str(sampler), known),
                    "[search] sampler",
                )
        if engine == "keras_tuner" and search.start_with:
            yield Problem(
                "start_with needs the engine optuna.",
                "keras_tuner",
                'Drop start_with, or set engine = "optuna".',
                "[search] start_with",
            )
        only_optuna = _arm_values(tables, search, "engine") == ["keras_tuner"]
        if only_optuna and search.pruner != "none":
            yield Problem(
                "a pruner needs the engine optuna.",
                search.pruner,
                'Drop pruner, or set sampler = "hyperband".',
                "[search] pruner",
            )


def _grid(tables: Tables, search: Search, space: Space) -> Iterator[Problem]:
    if "grid" not in _arm_values(tables, search, "sampler"):
        return
    endless = _names(entry for entry in space if entry.values.points() is None)
    size = space.grid_size()
    if endless:
        yield Problem(
            "a grid needs values that can be counted.",
            endless,
            "Give each a step, or make it a choice.",
            "[space]",
        )
    elif size is not None and size <= 1_000_000:
        points = len(space.grid() or ())
        if points > search.trials:
            yield Problem(
                f"a grid of {points} points needs as many trials.",
                f"trials = {search.trials}",
                f"Set trials = {points}, or thin the grid.",
                "[search] trials",
            )
    else:
        yield Problem(
            f"a grid of {size} points needs as many trials.",
            f"trials = {search.trials}",
            "Thin the grid.",
            "[search] trials",
        )


def _names(entries: Iterable[Dimension]) -> str:
    return ", ".join(entry.name for entry in entries)
