"""What must hold between the tables of a study file, and between the file and its learner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.errors import Problem, as_key, as_toml, nearest
from pipeline.space import Choice, Hyperparameter, Value
from pipeline.study import search_checks
from pipeline.study.messages import unknown
from pipeline.study.search_checks import Draft, inside, num_arms
from pipeline.study.tables import PRUNERS, SAMPLERS

NEVER_SEARCHED = ("epochs",)
MOST_COMPARED, MOST_ARMS = 2, 64
# Of the result tables, beside hyperparameters and the metrics of an epoch.
COLUMNS = (
    *("arm", "number", "state", "score", "reason"),
    *("repeat", "epoch", "role", "test_accuracy", "test_loss"),
)
# What MLflow takes for a name of a parameter or a metric.
NAME = re.compile(r"[^\W\d][\w.-]{0,99}")
# What [compare] may name beside a hyperparameter.
COMPARABLE: Mapping[str, Hyperparameter] = {
    "engine": Hyperparameter(str, None, words=tuple(SAMPLERS)),
    "sampler": Hyperparameter(str, None, words=tuple(dict.fromkeys(sum(SAMPLERS.values(), ())))),
    "pruner": Hyperparameter(str, None, words=PRUNERS),
}


def admitted(settings: Mapping[str, Hyperparameter], key: str, values: list[Any]) -> tuple[Value, ...]:
    """Those values of a compared setting that it may have, as trials are given them."""
    return tuple(settings[key].exact(value) for value in values if settings[key].admits(value))


def problems_between(draft: Draft) -> Iterator[Problem]:
    """Every problem that shows only when two places of the file are seen together."""
    for check in CHECKS:
        yield from check(draft)


def _names(draft: Draft) -> Iterator[Problem]:
    known, starts = draft.known, draft.tables["search"].get("start_with")
    given = {f"[{name}]": draft.tables[name] for name in ("baseline", "fixed", "space")}
    for index, start in enumerate(starts if isinstance(starts, list) else []):
        given[f"[search] start_with[{index}]"] = start if isinstance(start, dict) else {}
    for where, table in given.items():
        for name in [name for name in table if name not in known]:
            yield unknown(name, known, f"{where} {as_key(name)}", known, "unknown hyperparameter.")
    for name in [name for name in known if name in COLUMNS or name in draft.study.learner.metrics]:
        must, advice = "must not be called as a column of the result tables is.", "Rename it."
        yield Problem(must, name, advice, as_key(name))
    for name in [name for name in known if not NAME.fullmatch(name)]:
        must = "the name of a hyperparameter must be letters, digits, _ . and -, and begin with a letter."
        yield Problem(must, name, "Rename it.", as_key(name))
    if "model" in draft.tables["fixed"]:
        advice = "Write it at the top of the file instead: model = ..."
        yield Problem("must be given once, for the whole study.", "model", advice, "[fixed] model")


def _objective(draft: Draft) -> Iterator[Problem]:
    objective, metrics, where = draft.study.objective, draft.study.learner.metrics, "objective"
    metric, direction = objective.metric, metrics.get(objective.metric)
    written = as_toml(draft.tables["objective"])
    on_val = [name for name in metrics if f"val_{name}" not in metrics]
    if not NAME.fullmatch(metric):
        must = "the name of a metric must be letters, digits, _ . and -, and begin with a letter."
        yield Problem(must, written, "Rename it.", where)
    if direction is None:
        must = "must name a metric that the model reports."
        yield Problem(must, written, nearest(metric, on_val), where)
    elif metric not in on_val:
        must = "must be measured on val: on what it was trained on, the model that memorizes best would win."
        yield Problem(must, written, f"Write {{ {direction} = {as_toml(f'val_{metric}')} }}.", where)
    elif objective.is_maximized != (direction == "maximize"):
        advice = f"Write {{ {direction} = {as_toml(metric)} }}."
        yield Problem(f"{metric} must be {direction}d.", written, advice, where)


def _space(draft: Draft) -> Iterator[Problem]:
    study, order = draft.study, list(draft.tables["space"])
    entries = {entry.name: entry.values for entry in study.space}
    for name in order:
        where = f"[space] {as_key(name)}"
        if name in NEVER_SEARCHED:
            yield Problem("must be fixed, not searched.", name, f"Move {name} to [fixed].", where)
        elif name in draft.tables["fixed"]:
            must, advice = (
                "must not be fixed and searched at once.",
                "Remove it from [fixed] or from [space].",
            )
            yield Problem(must, name, advice, where)
    for entry in study.space:
        name, values = entry.parent or ("", ())
        where, parent = f"[space] {entry.name} when", entries.get(name)
        if name in study.compared:
            for value in [value for value in values if value not in study.compared[name]]:
                advice = f"Choose a value of [compare] {name}."
                yield Problem(f"must name a value of {name} that is compared.", as_toml(value), advice, where)
        elif entry.parent and name not in order[: order.index(entry.name)]:
            must, advice = (
                "must name a hyperparameter searched above this one, or what is compared.",
                "Put it there, or drop when.",
            )
            yield Problem(must, as_key(name), advice, where)
        elif isinstance(parent, Choice) or (parent and parent.is_int):
            for value in values:
                if not parent.holds(value):
                    advice = f"Choose a value that [space] {name} has."
                    yield Problem(f"must name a value that {name} can take.", as_toml(value), advice, where)
        elif parent:
            must, advice = "must name a hyperparameter whose values can be listed.", f"Make {name} a choice."
            yield Problem(must, f"{name}, a range of floats", advice, where)


def _baseline(draft: Draft) -> Iterator[Problem]:
    given, plain = draft.tables["baseline"], draft.study.baseline.configuration
    missing = [name for name, one in draft.known.items() if one.default is None and name not in given]
    for name in missing:
        must, advice = "must be given: a hyperparameter of your own has no default.", "Add it to [baseline]."
        yield Problem(must, "nothing", advice, f"[baseline] {as_key(name)}")
    if not missing:
        # A value that the baseline's other values switch off is never compared with anything.
        space = draft.study.space_at(plain)
        is_origin = "one_at_a_time" in draft.over_arms("sampler")[0]
        counted = space.names if is_origin else space.active(plain).keys() & given.keys()
        yield from inside({name: plain[name] for name in counted}, space, "[baseline]")


def _effects(draft: Draft) -> Iterator[Problem]:
    """What a study names and trains without: its values would differ in name alone."""
    whens = {entry.name for entry in draft.study.space if entry.parent}
    for name, one in draft.known.items():
        parent, at = one.counts_at or ("", ())
        for table in [table for table in ("baseline", "fixed", "compare", "space") if one.counts_at]:
            taken = _taken(draft, parent, table)
            # What is searched counts in every trial, or says when.
            enough = all if table == "space" and name not in whens else any
            if name in draft.tables[table] and not enough(value in at for value in taken):
                words = " or ".join(map(as_toml, at))
                received = f"{parent} = {', '.join(map(as_toml, taken))}" if taken else f"no {parent}"
                advice = f"Set {parent} = {as_toml(at[0])}, or remove {name}."
                if len(taken) > 1:
                    advice = f"Add when = {{ {parent} = {as_toml(at[0])} }}, or remove {name}."
                where = f"[{table}] {as_key(name)}"
                yield Problem(f"has an effect only where {parent} is {words}.", received, advice, where)


def _taken(draft: Draft, name: str, table: str) -> list[Value]:
    """The values of a hyperparameter in what a table is for: the baseline, or all trials of the search."""
    study = draft.study
    if name not in draft.known:
        return []
    if table == "baseline":
        return [study.baseline.configuration[name]]
    if name in study.compared:
        return list(study.compared[name])
    values = next((entry.values for entry in study.space if entry.name == name), None)
    if isinstance(values, Choice):
        return list(values.values)
    return [study.fixed[name]] if name in study.fixed else []


def _compared(draft: Draft) -> Iterator[Problem]:
    keys, settings = draft.tables["compare"].keys(), {**COMPARABLE, **draft.known}
    if len(keys) > MOST_COMPARED:
        advice = "Keep two; ask the other question in a study of its own."
        yield Problem("must compare one thing or two.", ", ".join(map(as_key, keys)), advice, "[compare]")
    elif num_arms(draft) > MOST_ARMS:
        must = f"must make {MOST_ARMS} arms at most, one for each pair of values."
        yield Problem(must, f"{num_arms(draft)} arms", "Compare fewer values.", "[compare]")
    else:
        yield from _arms(draft)
    for key, table in draft.compare.items():
        where = f"[compare] {as_key(key)}"
        if key not in settings:
            yield Problem("cannot be compared.", as_key(key), nearest(key, settings), where)
            continue
        if key in draft.tables["space"] or key in draft.tables["fixed"]:
            advice = f"Remove {key} from [compare], or from [space] or [fixed]."
            yield Problem("must not be searched or fixed as well.", key, advice, where)
        yield from (problem.at(where) for problem in map(settings[key].problem, table.choice) if problem)
        values = admitted(settings, key, table.choice)
        if len(set(values)) < len(values):
            advice = "Remove the repeated value."
            yield Problem("must not repeat a value.", as_toml(table.choice), advice, where)


def _arms(draft: Draft) -> Iterator[Problem]:
    """What must hold of the arms that the compared values make."""
    arms = draft.study.arms if draft.study.compared else ()
    where = f"[compare] {' and '.join(map(as_key, draft.study.compared))}"
    for arm in arms if draft.study.space.names else ():
        if not draft.study.space_of(arm).names:
            must, advice = "must leave each arm something to search.", "Add to [space] what it has."
            values = ", ".join(map(as_toml, arm.compared.values()))
            yield Problem(must, f"nothing for {values}", advice, where)
    # A value that stands there twice is told as such.
    known = dict.fromkeys((arm.name, repr(arm.compared), arm.seed_path) for arm in arms)
    names = [name for name, *_ in known]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        yield Problem("two arms must not have one name.", twice, "Rename a compared value.", where)


CHECKS = (_names, _objective, _space, _baseline, _effects, *search_checks.CHECKS, _compared)
