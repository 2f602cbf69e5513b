"""What must hold of [search] and of what is compared: starts, budgets, engines, samplers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.errors import Problem, as_toml, nearest
from pipeline.space import Choice, Hyperparameter, Space, Value
from pipeline.study.definition import Arm, Study
from pipeline.study.tables import LISTING, SAMPLERS, Compared


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
        if setting in self.study.compared:
            return self.study.compared[setting], f"[compare] {setting}"
        return (getattr(self.study.search, setting),), f"[search] {setting}"


def inside(values: Mapping[str, Value], space: Space, where: str) -> Iterator[Problem]:
    """What is wrong with values that the search must be able to find."""
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
        yield from inside(values, draft.study.space, where)


def _counts(draft: Draft) -> Iterator[Problem]:
    """What must be no more than trials; a default that the file does not state is never too much."""
    search, confirm = draft.study.search, draft.study.confirm
    in_all = search.trials * num_arms(draft)
    if search.searches > 1 and confirm.top > 1 and "top" in confirm.model_fields_set:
        must = "must be 1 where arms are searched several times: the best of each search is confirmed."
        yield Problem(must, str(confirm.top), "Drop it.", "[confirm] top")
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


def num_arms(draft: Draft) -> int:
    """How many searches the compared values make."""
    return math.prod(len(values) for values in draft.study.compared.values())


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


def _listing(draft: Draft) -> Iterator[Problem]:
    """What samplers need that try a list of points."""
    if not (listing := [one for one in LISTING if one in draft.over_arms("sampler")[0]]):
        return
    search, words = draft.study.search, " and ".join(listing).replace("grid", "a grid")
    if search.start_with:
        must, advice = f"{words} tries points of its own alone.", "Drop start_with."
        yield Problem(must, as_toml(search.start_with), advice, "[search] start_with")
    if endless := [entry.name for entry in draft.study.space if entry.values.num_points() is None]:
        must, advice = (
            f"{words} needs values that can be counted.",
            "Give each a step and no log, or make it a choice.",
        )
        yield Problem(must, ", ".join(endless), advice, "[space]")
        return
    is_spent = any(arm.sampler in LISTING and not _num_points(draft.study, arm) for arm in draft.study.arms)
    if is_spent and draft.study.space.names:
        must = "one_at_a_time needs a value that the baseline does not have."
        yield Problem(must, "none", "Add one, or drop the sampler.", "[space]")
    points = max((_num_points(draft.study, arm) for arm in draft.study.arms), default=0)
    if points > search.trials:
        must, advice = f"{words} of {points} points needs as many trials.", "Raise trials, or thin [space]."
        yield Problem(must, f"trials = {search.trials}", advice, "[search] trials")


def _num_points(study: Study, arm: Arm) -> int:
    """How many points an arm's sampler tries, of those that try a list."""
    if arm.sampler == "grid":
        return study.space_of(arm).grid_size() or 0
    return len(arm.search.start_with) if arm.sampler in LISTING else 0


def _origin(draft: Draft) -> Iterator[Problem]:
    """What holds still where each trial changes one value of the baseline: a second change would count in."""
    study = draft.study
    if "one_at_a_time" not in draft.over_arms("sampler")[0]:
        return
    plain = study.baseline.configuration
    free = {name: plain[name] for name in (*study.space.names, *study.compared) if name in plain}
    held = study.learner.settled({**study.fixed, **free})
    for name in [name for name in held if name in plain and held[name] != plain[name]]:
        must = "must be the baseline's: one_at_a_time changes one value of it."
        advice = f"Write {name} = {as_toml(plain[name])}, or change [baseline]."
        yield Problem(must, as_toml(held[name]), advice, f"[fixed] {name}")


CHECKS = (_starts, _counts, _engines, _listing, _origin)
