"""What must hold between the tables of a study file, and between the file and its learner."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import Problem, as_key, as_toml, nearest
from pipeline.space import Choice, Hyperparameter, Space, Value
from pipeline.study.definition import Study
from pipeline.study.messages import unknown
from pipeline.study.tables import PRUNERS, SAMPLERS, Compared

NEVER_SEARCHED = ("epochs",)
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


@dataclass(frozen=True)
class Draft:
    """A study whose file is being checked.

    Attributes:
        study: made of what is in order in each table by itself.
        compare: the tables of [compare] that are in order by themselves.
        tables: each table as it stands in the file.
    """

    study: Study
    compare: Mapping[str, Compared]
    tables: Mapping[str, Mapping[str, Any]]

    @property
    def known(self) -> Mapping[str, Hyperparameter]:
        """What the study's learner has."""
        return self.study.learner.hyperparameters

    def over_arms(self, setting: str) -> tuple[tuple[Any, ...], str]:
        """The values that a setting of [search] takes over the arms, and where it stands."""
        if self.study.compared and self.study.compared[0] == setting:
            return self.study.compared[1], f"[compare] {setting}"
        return (getattr(self.study.search, setting),), f"[search] {setting}"


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
        if study.compared and name == study.compared[0]:
            for value in [value for value in values if value not in study.compared[1]]:
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
        counted = space.active(plain).keys() & given.keys()
        yield from _inside({name: plain[name] for name in counted}, space, "[baseline]")


def _inside(values: Mapping[str, Value], space: Space, where: str) -> Iterator[Problem]:
    for entry in space:
        if entry.name in values and not entry.values.holds(values[entry.name]):
            must = "must lie inside the space, or the search could never find it."
            advice = f"Widen [space] {entry.name}, or change the value."
            yield Problem(must, as_toml(values[entry.name]), advice, f"{where} {entry.name}")


def _starts(draft: Draft) -> Iterator[Problem]:
    searched = draft.tables["space"]
    for index, values in enumerate(draft.study.search.start_with):
        where = f"[search] start_with[{index}]"
        for name in [name for name in values if name not in searched]:
            yield Problem("must name searched hyperparameters.", name, nearest(name, searched), where)
        yield from _inside(values, draft.study.space, where)


def _counts(draft: Draft) -> Iterator[Problem]:
    """What must be no more than trials; a default that the file does not state is never too much."""
    search, confirm = draft.study.search, draft.study.confirm
    in_all = search.trials * len(draft.study.compared[1] if draft.study.compared else "1")
    counts = {
        "[search] start_with": (len(search.start_with), search.trials),
        "[search] parallel": (search.parallel if "parallel" in search.model_fields_set else 1, search.trials),
        "[confirm] top": (confirm.top if "top" in confirm.model_fields_set else 1, in_all),
    }
    for where, (count, most) in counts.items():
        if count > most:
            must, advice = (
                "must not be more than there are trials.",
                f"Raise trials, or make it {most} at most.",
            )
            yield Problem(must, f"{count}, and {most} trials", advice, where)


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
    if study.compared and study.compared[0] == name:
        return list(study.compared[1])
    values = next((entry.values for entry in study.space if entry.name == name), None)
    if isinstance(values, Choice):
        return list(values.values)
    return [study.fixed[name]] if name in study.fixed else []


def _compared(draft: Draft) -> Iterator[Problem]:
    keys, settings = draft.tables["compare"].keys(), {**COMPARABLE, **draft.known}
    if len(keys) > 1:
        advice = "Keep one; ask the other question in a study of its own."
        yield Problem("must compare one thing.", ", ".join(map(as_key, keys)), advice, "[compare]")
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
        is_asked = len(keys) == 1 and draft.study.space.names
        for value in values if is_asked else ():
            if not draft.study.space_at({key: value}).names:
                must, advice = "must leave each arm something to search.", "Add to [space] what it has."
                yield Problem(must, f"nothing for {as_toml(value)}", advice, where)


def _engines(draft: Draft) -> Iterator[Problem]:
    engines, _ = draft.over_arms("engine")
    samplers, where = draft.over_arms("sampler")
    for engine in engines:
        for sampler in filter(None, samplers):
            if sampler not in SAMPLERS[engine]:
                must, advice = f"unknown sampler of {engine}.", nearest(sampler, SAMPLERS[engine])
                yield Problem(must, as_toml(sampler), advice, where)
    if "keras_tuner" in engines and draft.study.search.start_with:
        must, advice = "start_with needs the engine optuna.", 'Drop start_with, or set engine = "optuna".'
        yield Problem(must, "keras_tuner", advice, "[search] start_with")
    for entry in draft.study.space if "keras_tuner" in engines else ():
        values = entry.values.values if isinstance(entry.values, Choice) else ()
        if len({type(value) for value in values}) > 1:
            must = "a choice of keras_tuner must hold values of one kind."
            yield Problem(
                must, ", ".join(map(as_toml, values)), "Write all as text.", f"[space] {entry.name}"
            )
    learning = {sampler or SAMPLERS[engine][0] for engine in engines for sampler in samplers}
    if draft.study.search.start_from and learning != {"tpe"}:
        must, advice = "start_from needs the sampler tpe: no other learns from other trials.", "Drop it."
        yield Problem(must, ", ".join(sorted(learning)), advice, "[search] start_from")
    pruners, where = draft.over_arms("pruner")
    pruning = ", ".join(pruner for pruner in pruners if pruner != "none")
    if engines == ("keras_tuner",) and pruning:
        advice = 'Drop pruner, or set sampler = "hyperband".'
        yield Problem("a pruner needs the engine optuna.", pruning, advice, where)


def _grid(draft: Draft) -> Iterator[Problem]:
    if "grid" not in draft.over_arms("sampler")[0]:
        return
    space, search = draft.study.space, draft.study.search
    if search.start_with:
        must, advice = "a grid tries every point of the space anyway.", "Drop start_with."
        yield Problem(must, as_toml(search.start_with), advice, "[search] start_with")
    if endless := [entry.name for entry in space if entry.values.num_points() is None]:
        advice = "Give each a step and no log, or make it a choice."
        yield Problem("a grid needs values that can be counted.", ", ".join(endless), advice, "[space]")
    points = max((draft.study.space_of(arm).grid_size() or 0 for arm in draft.study.arms), default=0)
    if points > search.trials:
        must, advice = f"a grid of {points} points needs as many trials.", "Raise trials, or thin the grid."
        yield Problem(must, f"trials = {search.trials}", advice, "[search] trials")


CHECKS = (*(_names, _objective, _space, _baseline, _effects, _starts, _counts, _compared, _engines, _grid),)
