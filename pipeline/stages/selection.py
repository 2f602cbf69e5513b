"""What is confirmed: the candidates that may win, what stands beside them, and who is trained once more."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.records.rows import read_rows, values_of
from pipeline.search import Listed
from pipeline.space import Value
from pipeline.study import Study
from pipeline.study.tables import LISTING
from pipeline.trial import Outcome, Trial

LONGER = "longer-baseline"
WINNER = "winner"
# How much of each arm's trials a smaller budget would have had.
BUDGETS: Mapping[str, Fraction] = {"first-half": Fraction(1, 2), "first-quarter": Fraction(1, 4)}


@dataclass(frozen=True)
class Candidate:
    """A configuration that was searched for, with the trial that proposed it."""

    arm: str
    number: int
    configuration: Mapping[str, Value]
    search_score: float

    @property
    def key(self) -> Any:
        """What tells its configuration from others, trained for however many epochs."""
        return tuple(sorted((name, value) for name, value in self.configuration.items() if name != "epochs"))


@dataclass(frozen=True)
class Selection:
    """Everything that confirm trains, each on every fresh seed.

    Trials are numbered group by group, `repeats` each: the candidates, what stands beside them, and last the
    candidate that has won, on a second set of fresh seeds: the scores that chose it would flatter it.

    Attributes:
        candidates: those that may win, best first by their scores in the search.
        beside: what cannot win, by its role.
        spent: by the share of the budget the best trial that it found.
    """

    candidates: Sequence[Candidate]
    beside: Mapping[str, Mapping[str, Value]]
    spent: Mapping[str, Candidate]
    repeats: int
    is_maximized: bool

    @property
    def roles(self) -> list[str]:
        """The names of the groups that are known before anything is trained."""
        return [*(f"candidate-{place}" for place in range(1, len(self.candidates) + 1)), *self.beside]

    @property
    def configurations(self) -> list[dict[str, Value]]:
        """Those of the groups in `roles`."""
        return [*(dict(one.configuration) for one in self.candidates), *map(dict, self.beside.values())]

    @property
    def is_contest(self) -> bool:
        """Whether scores on fresh seeds choose, so that the winner needs others to be measured by."""
        return len(self.candidates) > 1

    @property
    def num_trials(self) -> int:
        """How many trials there are, unless a winner fails on its second set of seeds."""
        return self.repeats * (len(self.roles) + self.is_contest)

    def trials(self) -> list[Trial]:
        """The groups in `roles`; repeat r draws alike for all of them."""
        groups = enumerate(self.configurations)
        return [trial for index, one in groups for trial in self._group(index, one, "confirm")]

    def further(self, told: Mapping[int, Outcome]) -> list[Trial]:
        """What is to be trained when all so far are told: the best candidate, on seeds of its own.

        One that fails there is left out, and the next takes its place.
        """
        index, rest = divmod(len(told), self.repeats)
        if not self.is_contest or rest or index < len(self.roles):
            return []
        ranked, (failed, again) = list(self.order(told).values()), self.retrained(told)
        if again or failed == len(ranked):
            return []
        return self._group(index, ranked[failed].configuration, WINNER)

    def retrained(self, told: Mapping[int, Outcome]) -> tuple[int, list[Outcome]]:
        """How many of `order` have failed on the second set of seeds, and the first that has not; or none."""
        index = len(self.roles)
        while group := self.group(told, index):
            if is_whole(group):
                return index - len(self.roles), group
            index += 1
        return index - len(self.roles), []

    def order(self, told: Mapping[int, Outcome]) -> dict[int, Candidate]:
        """The candidates by their places, the best mean on fresh seeds first; none with a failed repeat."""
        sign = -1 if self.is_maximized else 1
        groups = {index: self.group(told, index) for index in range(len(self.candidates))}
        means = {
            index: sign * sum(float(one.score or 0.0) for one in group) / len(group)
            for index, group in groups.items()
            if is_whole(group)
        }
        return {index: self.candidates[index] for index in sorted(means, key=lambda index: means[index])}

    def group(self, told: Mapping[int, Outcome], index: int) -> list[Outcome]:
        """The outcomes of one group."""
        numbers = range(index * self.repeats, (index + 1) * self.repeats)
        return [told[number] for number in numbers if number in told]

    def _group(self, index: int, configuration: Mapping[str, Value], path: str) -> list[Trial]:
        first, epochs = index * self.repeats, int(configuration["epochs"])
        return [
            Trial(first + repeat, {}, configuration, epochs, (path, repeat)) for repeat in range(self.repeats)
        ]


class Rounds(Listed):
    """An engine that proposes all groups of a selection, and then the winner on its second set of seeds."""

    def __init__(self, selection: Selection) -> None:
        super().__init__(selection.trials())
        self._selection, self._told = selection, dict[int, Outcome]()

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Once nothing else is in flight, who is trained next is known."""
        self._told[trial.number] = outcome
        self._left = self._left or self._selection.further(self._told)[::-1]


def is_whole(outcomes: Sequence[Outcome]) -> bool:
    """Whether there are repeats, and every one is complete."""
    return bool(outcomes) and all(outcome.state == "complete" for outcome in outcomes)


def select(study: Study, path: Path) -> Selection:
    """What the study confirms of the trials at `path`.

    Raises:
        DataError: no trial is complete, or they are not this study's.
    """
    found, counts = _searched(study, path)
    chosen = _chosen(study, found)
    spent = dict(_spent(study, found, counts))
    known = [one.key for one in chosen]
    beside = {role: one for role, one in ((LONGER, longer(study)),) if one}
    for share, one in spent.items():
        if one.key not in known:
            known.append(one.key)
            beside[share] = one.configuration
    return Selection(chosen, beside, spent, study.confirm.repeats, study.objective.is_maximized)


def candidates(study: Study, path: Path) -> list[Candidate]:
    """The `top` distinct configurations over all arms, best first, and the best of each arm.

    Raises:
        DataError: see `select`.
    """
    return _chosen(study, _searched(study, path)[0])


def _chosen(study: Study, found: list[Candidate]) -> list[Candidate]:
    # Of several searches each has one candidate, so that all have as many; the best of all comes first.
    chosen = _distinct(found)[: study.confirm.top if study.search.searches == 1 else 1]
    # Every arm has its say: without its best, a comparison of arms would rest on search scores alone.
    firsts = [next((one for one in found if one.arm == arm.name), None) for arm in study.arms]
    return chosen + [one for one in firsts if one is not None and one not in chosen]


def _searched(study: Study, path: Path) -> tuple[list[Candidate], dict[str, int]]:
    """The complete trials, best first, and how many trials of any state each arm has."""
    fixed = {arm.name: arm.fixed for arm in study.arms}
    sign = -1 if study.objective.is_maximized else 1
    try:
        rows = [row for row in read_rows(path) if row["arm"] in fixed]
        counts = {name: sum(row["arm"] == name for row in rows) for name in fixed}
        found = [_candidate(row, study, fixed[row["arm"]]) for row in rows if row["state"] == "complete"]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError.of(
            "the trials must be those of the study file as it is now.",
            error,
            f"Run: study search {study.name}",
            str(path),
        ) from error
    found.sort(key=lambda one: (sign * one.search_score, one.number, one.arm))
    if not found:
        raise DataError.of(
            "at least one trial must be complete.",
            "none",
            "Read the reasons in that file, widen the space or give more trials.",
            str(path),
        )
    return found, counts


def _candidate(row: Mapping[str, str], study: Study, fixed: Mapping[str, Value]) -> Candidate:
    values = {**study.defaults, **fixed, **values_of(row, study.space), "epochs": int(row["epochs"])}
    return Candidate(row["arm"], int(row["number"]), values, float(row["score"]))


def _distinct(found: Sequence[Candidate]) -> list[Candidate]:
    """The best of equal configurations, trained for however many epochs."""
    kept: dict[Any, Candidate] = {}
    for one in found:
        kept.setdefault(one.key, one)
    return list(kept.values())


def longer(study: Study) -> Mapping[str, Value] | None:
    """The baseline at the search's epochs, where these are others; None where arms differ in them.

    Only arms of the baseline's model count: a gain over another model's is none of longer training.
    """
    plain = study.baseline.configuration
    model = plain.get("model")
    alike = [arm for arm in study.arms if arm.fixed.get("model", model) == model]
    epochs = {arm.epochs for arm in alike}
    if len(epochs) != 1 or epochs == {plain["epochs"]}:
        return None
    longer = study.learner.settled({**plain, "epochs": epochs.pop()})
    return None if longer["epochs"] == plain["epochs"] else longer


def num_budgets(study: Study) -> int:
    """How many parts of the budget are told of: of a list of points none, whose order says nothing.

    Nor of several searches, which are themselves the repeated answer to what a budget buys.
    """
    is_list = any(arm.sampler in LISTING for arm in study.arms)
    return 0 if is_list or study.search.searches > 1 else len(BUDGETS)


def _spent(
    study: Study, found: Sequence[Candidate], counts: Mapping[str, int]
) -> Iterator[tuple[str, Candidate]]:
    """What a smaller budget would have found best, over all arms; nothing where it found nothing."""
    for share, part in list(BUDGETS.items())[: num_budgets(study)]:
        within = [one for one in found if one.number < part * counts[one.arm]]
        if within:
            yield share, within[0]
