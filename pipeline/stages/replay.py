"""replay: recorded trials trained again from their record, and every number compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from pipeline import seeds
from pipeline.errors import DataError, StoreError, StudyError, shortened
from pipeline.records import fingerprint
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.records.recorded import Task
from pipeline.search import Listed, Loop
from pipeline.stages.comparison import ACCURACY_TOLERANCE, Comparison, judge
from pipeline.stages.context import Context, open_context, open_pool
from pipeline.stages.search import tables_of, task_of
from pipeline.study import Arm
from pipeline.tracking.entry import place_of
from pipeline.tracking.mlflow_view import mark_trials
from pipeline.training import program_name
from pipeline.trial import Outcome, Trial
from pipeline.workers import VirtualTrainer

MAX_TAG = 1_000


@dataclass(frozen=True)
class Record:
    """A search of one arm as it was recorded.

    Attributes:
        facts: what its results depend on.
        changed: which of these are different now, in words; empty: none is.
        outcomes: by number.
    """

    arm: str
    folder: Path
    facts: Mapping[str, Any]
    changed: str
    outcomes: Mapping[int, Outcome]


class Again(Listed):
    """Recorded trials in their order; one that was pruned is pruned again, after the same epoch."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        super().__init__([outcome.trial for outcome in outcomes])
        self._ends = {one.trial.number: len(one.curve) for one in outcomes if one.state == "pruned"}

    def report(self, trial: Trial, epoch: int, score: float) -> bool:  # noqa: ARG002  the seam's names
        """Go on to where the record ends."""
        return epoch != self._ends.get(trial.number)


def replay(project: Project, name: str, words: Sequence[str], sample: int | None) -> Iterator[str]:
    """Train recorded trials of the search again; then a line with the decision on each.

    Args:
        words: the trials, each a number, or ARM:NUMBER where the study has several arms; empty: all.
        sample: so many of them instead, drawn by the study's seed.

    Raises:
        StudyError: a trial is not in the record, or the record is of another backend.
        DataError: nothing is recorded; or, after all lines, a trial has not given its numbers again.
        StudyError, DataError, StoreError: see `open_context`.
    """
    with open_context(project, name) as context:
        records = _records(context)
        outcomes = {
            arm.name: records[arm.name].outcomes if arm.name in records else {} for arm in context.study.arms
        }
        comparisons: dict[str, Comparison] = {}
        for arm, numbers in choose(outcomes, words, sample, context.study.seed).items():
            found = _comparisons(context, records[arm], numbers)
            comparisons |= {_spelled(outcomes, arm, number): decision for number, decision in found.items()}
    yield from (f"trial {trial}: {one}" for trial, one in comparisons.items())
    bad = [trial for trial, one in comparisons.items() if not one.is_good]
    if bad:
        raise DataError.of(
            "a replay must give the recorded numbers; accuracies within "
            f"{ACCURACY_TOLERANCE} of them where it is not comparable.",
            f"{len(bad)} of {len(comparisons)} trials do not: {', '.join(bad)}",
            "Restore the record, or prepare the data again, if either was changed; else do not trust them.",
            str(project.work(name).relative_to(project.root)),
        )


def choose(
    outcomes: Mapping[str, Mapping[int, Outcome]], words: Sequence[str], sample: int | None, study_seed: int
) -> dict[str, list[int]]:
    """The numbers of the trials to replay, ascending, by arm.

    Args:
        outcomes: what is recorded, by arm and number.
        words, sample: see `replay`. A sample leaves failed trials out; a larger one holds the smaller.

    Raises:
        StudyError: a word is no recorded trial, or both words and a sample are given.
    """
    known = {(arm, number): one for arm, of_arm in outcomes.items() for number, one in of_arm.items()}
    if sample is not None and words:
        must, advice = "either trials or a sample can be named.", "Drop one of the two."
        raise StudyError.of(must, f"{' '.join(words)} --sample {sample}", advice, "study replay")
    chosen = set(known)
    if sample is not None:
        pool = sorted(choice for choice, one in known.items() if one.state != "failed")
        if not pool:
            must, advice = "a sample needs a trial that has not failed.", "Name the trials to replay."
            raise StudyError.of(must, "only failed ones", advice, "study replay")
        order = seeds.generator(study_seed, "replay").permutation(len(pool))
        chosen = {pool[index] for index in order[:sample]}
    elif words:
        chosen = {_found(outcomes, word) for word in words}
    arms = {arm: sorted(number for of, number in chosen if of == arm) for arm in outcomes}
    return {arm: numbers for arm, numbers in arms.items() if numbers}


def _found(outcomes: Mapping[str, Mapping[int, Outcome]], word: str) -> tuple[str, int]:
    """The recorded trial that a word names."""
    names = {_spelled(outcomes, arm, number): (arm, number) for arm in outcomes for number in outcomes[arm]}
    if word in names:
        return names[word]
    form = "a number" if len(outcomes) == 1 else "ARM:NUMBER"
    there = [f"{_spelled(outcomes, arm, '')}{_ranges(of_arm)}" for arm, of_arm in outcomes.items() if of_arm]
    advice = f"There are {'; '.join(there)}."
    raise StudyError.of(f"a trial to replay must be {form} of the record.", word, advice, "study replay")


def _ranges(numbers: Iterable[int]) -> str:
    """Numbers in words: 0 to 4, 7."""
    # In a run without a gap, each number is as far from its place in the order as the next one.
    runs = [list(run) for _, run in groupby(enumerate(sorted(numbers)), key=lambda pair: pair[1] - pair[0])]
    ends = [(run[0][1], run[-1][1]) for run in runs]
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in ends)


def _spelled(outcomes: Mapping[str, Any], arm: str, number: int | str) -> str:
    """How a person names a trial."""
    return str(number) if len(outcomes) == 1 else f"{arm}:{number}"


def _records(context: Context) -> dict[str, Record]:
    """What is recorded of each arm: of the study as it is now, else the newest.

    Raises:
        DataError: nothing is.
    """
    records = {
        arm.name: record for arm in context.study.arms if (record := _record(context, arm)) is not None
    }
    name = context.study.name
    for arm in context.study.arms:
        if arm.name not in records:
            context.progress.say(f"replay {arm.name}: nothing is recorded. Run: study search {name}")
    if not records:
        place = context.project.work(name).relative_to(context.project.root)
        must, advice = "must hold a recorded trial first.", f"Run: study search {name}"
        raise DataError.of(must, "nothing recorded", advice, str(place))
    return records


def _record(context: Context, arm: Arm) -> Record | None:
    now = fingerprint.facts(tables_of(context.study, arm), context.card["sha256"])
    task = task_of(context.study, arm)
    current = task.folder_name(fingerprint.key(now))
    folders = [path.parent for path in context.project.work(context.study.name).glob("search-*/record.jsonl")]
    # An arm's name may begin like another's.
    folders = [folder for folder in folders if folder.name.rpartition("-")[0] == task.folder_name("")]
    folders.sort(key=lambda folder: (folder.name == current, (folder / "record.jsonl").stat().st_mtime))
    for folder in reversed(folders):
        outcomes = Ledger(folder / "record.jsonl").outcomes
        if outcomes:
            facts = _facts(folder)
            return Record(arm.name, folder, facts, fingerprint.difference(facts, now), outcomes)
    return None


def _facts(folder: Path) -> dict[str, Any]:
    path = folder / "facts.json"
    try:
        facts: dict[str, Any] = json.loads(path.read_text())
        # Without these two nothing can be trained as it was.
        _ = facts["study"]["seed"], facts["study"]["trainer"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        must, advice = "must say what the record depends on.", "Restore it from a copy, or search again."
        raise StoreError.of(must, f"{type(error).__name__}: {error}", advice, str(path)) from error
    return facts


def _comparisons(context: Context, record: Record, numbers: Sequence[int]) -> dict[int, Comparison]:
    """Train trials of one record again and judge them, by number; MLflow is told."""
    trained_on = dict(record.facts.get("machine", {})).get("backend", "tensorflow")
    if trained_on != context.environment["backend"]:
        # Their initial weights differ, so nothing of the two could be compared.
        must, advice = "must be the one that trained the record.", f"Run with KERAS_BACKEND={trained_on}."
        raise StudyError.of(must, context.environment["backend"], advice, "KERAS_BACKEND")
    if record.changed:
        context.progress.say(f"replay {record.arm}: not comparable, this has changed: {record.changed}.")
    again = _trained(context, record, [record.outcomes[number] for number in numbers])
    comparisons = {
        number: judge(record.outcomes[number], again[number], record.changed) for number in numbers
    }
    tags = {
        number: {"replay.decision": decision.word, "replay.detail": shortened(decision.detail, MAX_TAG)}
        for number, decision in comparisons.items()
    }
    place = place_of("search", record.folder.name.rpartition("-")[2], record.arm)
    try:
        mark_trials(context.project.tracking_uri, context.study.name, place, tags)
    except StoreError as error:
        received = error.problems[0].received
        context.progress.say(
            f"replay {record.arm}: what was compared stands, but MLflow has not got them: {received}."
        )
    return comparisons


def _trained(context: Context, record: Record, outcomes: Sequence[Outcome]) -> dict[int, Outcome]:
    """What the trials give now, by number: the record's seed and trainer on the data that are there."""
    wanted = record.facts["study"]
    study = replace(context.study, seed=wanted["seed"])
    about = {**context.environment, "trainer": program_name(wanted["trainer"])}
    context = replace(context, study=study, environment=about)
    task = Task("replay", record.arm, wanted, len(outcomes))
    context.progress.begin(f"replay {record.arm}", len(outcomes))
    with open_pool(context, task, context.project.work(study.name) / "replay") as pool:
        trainer = VirtualTrainer(pool, context.cost)
        rules = context.rules(study.search.parallel)
        loop = Loop(Again(outcomes), trainer, rules, context.progress.ended, context.progress.epoch)
        return {outcome.trial.number: outcome for outcome in loop.run()}
