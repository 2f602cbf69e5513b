"""What must hold between the tables of a study file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.errors import Problem, as_key, as_toml, nearest
from pipeline.space import Choice, Dimension, Space, Value, defaults
from pipeline.study.definition import Objective, Search
from pipeline.study.learner import Learner

NEVER_SEARCHED = ("epochs",)


@dataclass(frozen=True)
class Draft:
    """A study file in the middle of its reading.

    Attributes:
        tables: every table as it stands in the file; a stand-in where it is missing or no table.
        baseline, starts: the values that are in order by themselves.
        space: the entries that are in order by themselves.
        search: stand-ins replace what is wrong with it.
    """

    tables: Mapping[str, Mapping[str, Any]]
    model: str
    learner: Learner
    baseline: Mapping[str, Value]
    starts: Sequence[Mapping[str, Value]]
    space: Space
    search: Search
    objective: Objective

    @property
    def start(self) -> dict[str, Value]:
        """A value for every hyperparameter before the tables have their say."""
        start = dict(defaults(self.learner.hyperparameters))
        return {**start, "model": self.model} if "model" in self.learner.hyperparameters else start


def cross_checks(draft: Draft) -> Iterator[Problem]:
    """Every problem that shows only when two places of the file are seen together."""
    yield from _objective(draft)
    yield from _fixed(draft)
    for entry in draft.space:
        yield from _parent(entry, draft)
    missing = list(_defaults(draft))
    yield from missing
    yield from _starts(draft)
    if missing:
        return
    plain = {**draft.start, **draft.baseline}
    # A value that the baseline's other values switch off is never compared with anything.
    counted = draft.space.active(plain).keys() & draft.baseline.keys()
    yield from _inside({name: plain[name] for name in counted}, draft.space, "[baseline]")


def _defaults(draft: Draft) -> Iterator[Problem]:
    """A hyperparameter of the user's own has no value but those that the file gives."""
    for name, known in draft.learner.hyperparameters.items():
        if known.default is None and name not in draft.tables["baseline"]:
            must = "must be given: a hyperparameter of your own has no default."
            yield Problem(
                must, "nothing", f"Add {as_key(name)} = ... to [baseline].", f"[baseline] {as_key(name)}"
            )


def _objective(draft: Draft) -> Iterator[Problem]:
    table, objective = draft.tables["objective"], draft.objective
    advice = 'Write { maximize = "val_accuracy" } or { minimize = "val_loss" }.'
    if len(table.keys() & {"maximize", "minimize"}) != 1:
        yield Problem("must have one of maximize, minimize.", as_toml(table), advice, "objective")
    elif objective.is_maximized != objective.metric.endswith("accuracy"):
        yield Problem("an accuracy is maximized, a loss minimized.", as_toml(table), advice, "objective")


def _fixed(draft: Draft) -> Iterator[Problem]:
    searched, fixed = draft.tables["space"], draft.tables["fixed"]
    for name in searched:
        where = f"[space] {as_key(name)}"
        if name in NEVER_SEARCHED:
            yield Problem("must be fixed, not searched.", name, f"Move {name} to [fixed].", where)
        elif name in fixed:
            advice = "Remove it from [fixed] or from [space]."
            yield Problem("must not be fixed and searched at once.", name, advice, where)
    if "model" in fixed:
        advice = "Write it at the top of the file instead: model = ..."
        yield Problem("must be given once, for the whole study.", "model", advice, "[fixed] model")


def _parent(entry: Dimension, draft: Draft) -> Iterator[Problem]:
    if entry.parent is None:
        return
    where = f"[space] {entry.name}"
    name, values = entry.parent
    order = list(draft.tables["space"])
    if name not in order[: order.index(entry.name)]:
        must = "when must name a hyperparameter searched above this one."
        advice = f"Put {as_key(name)} into [space] above {entry.name}, or drop when."
        yield Problem(must, f"when = {as_toml(draft.tables['space'][entry.name]['when'])}", advice, where)
        return
    parent = next((known for known in draft.space if known.name == name), None)
    if parent is None:
        return
    if not isinstance(parent.values, Choice) and not parent.values.is_int:
        must = "when must name a hyperparameter whose values can be listed."
        advice = f"Make {name} a choice, or drop when."
        yield Problem(must, f"{name}, a range of floats", advice, where)
        return
    for value in values:
        if not parent.values.holds(value):
            advice = f"Choose a value that [space] {name} has."
            yield Problem(f"when must name a value that {name} can take.", as_toml(value), advice, where)


def _inside(values: Mapping[str, Value], space: Space, where: str) -> Iterator[Problem]:
    for entry in space:
        if entry.name in values and not entry.values.holds(values[entry.name]):
            must = "must lie inside the space, or the search could never find it."
            advice = f"Widen [space] {entry.name}, or change the value."
            yield Problem(must, as_toml(values[entry.name]), advice, f"{where} {entry.name}")


def _starts(draft: Draft) -> Iterator[Problem]:
    if len(draft.starts) > draft.search.trials:
        received = f"{len(draft.starts)} of them, trials = {draft.search.trials}"
        must, advice = "must not hold more than trials.", "Raise trials, or remove some."
        yield Problem(must, received, advice, "[search] start_with")
    for index, values in enumerate(draft.starts):
        where = f"[search] start_with[{index}]"
        if not draft.search.start_with[index]:
            advice = "Write { learning_rate = 0.001 }, for example, or remove it."
            yield Problem("must name at least one hyperparameter.", "an empty table", advice, where)
        for name in values:
            if name not in draft.tables["space"]:
                must, advice = "must name searched hyperparameters.", nearest(name, draft.tables["space"])
                yield Problem(must, name, advice, where)
        yield from _inside(values, draft.space, where)
