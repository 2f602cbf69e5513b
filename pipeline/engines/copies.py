"""The copies of searches in an Optuna storage: compared with what was recorded, and written again from it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, TrialState

from pipeline.engines import Assignment
from pipeline.engines.store import STATES, Store, opened, opening
from pipeline.trial import Outcome, Trial

CUT = "cut: the process that ran it is gone"


@dataclass(frozen=True)
class Copy:
    """What a storage says of one search, seen beside the outcomes that were recorded.

    Attributes:
        is_there: whether the storage knows the search at all.
        running: trials that wait or run there.
        missing: trials that were recorded and are not there.
        other: trials that are not there what was recorded.
    """

    is_there: bool
    running: Sequence[int] = ()
    missing: Sequence[int] = ()
    other: Sequence[int] = ()


def is_there(url: str) -> bool:
    """Whether there is anything to be read: a database server, or a file that is not empty."""
    path = Path(url.split("///", 1)[-1])
    return not url.startswith("sqlite") or (path.is_file() and path.stat().st_size > 0)


def read(url: str, wants: Callable[[str], bool]) -> dict[str, list[FrozenTrial]]:
    """The trials of every wanted search, by the search's name there. Nothing is written.

    Raises:
        StoreError: the storage cannot be read.
    """
    if not is_there(url):
        return {}
    with _storage(url) as storage:
        return {
            study.study_name: storage.get_all_trials(study._study_id, deepcopy=False)
            for study in storage.get_all_studies()
            if wants(study.study_name)
        }


def compare(trials: Sequence[FrozenTrial] | None, outcomes: Mapping[int, Outcome], metric: str) -> Copy:
    """How the copy of one search differs from its outcomes."""
    if trials is None:
        return Copy(is_there=False, missing=sorted(outcomes))
    return Copy(
        is_there=True,
        running=[trial.number for trial in trials if not trial.state.is_finished()],
        missing=sorted({*outcomes} - {trial.number for trial in trials}),
        other=[trial.number for trial in trials if not _fits(trial, outcomes.get(trial.number), metric)],
    )


def _fits(trial: FrozenTrial, outcome: Outcome | None, metric: str) -> bool:
    """Whether what stands there of a trial is what was recorded, or may still become it."""
    if not trial.state.is_finished():
        return outcome is None or trial.params == dict(outcome.trial.values)
    if outcome is None:
        # What was in flight when a search was cut has failed there, and was never recorded.
        return trial.state == TrialState.FAIL
    score = None if outcome.state == "failed" else outcome.score
    curve = {epoch: metrics[metric] for epoch, metrics in enumerate(outcome.curve, start=1)}
    said = (trial.state, trial.params, trial.value, trial.intermediate_values)
    return said == (STATES[outcome.state], dict(outcome.trial.values), score, curve)


def stop(url: str, name: str, keep: Mapping[int, Outcome]) -> None:
    """Let every trial be failed that still runs there, but those of `keep`."""
    with _storage(url) as storage:
        study_id = storage.get_study_id_from_name(name)
        for trial in storage.get_all_trials(study_id, deepcopy=False):
            if not trial.state.is_finished() and trial.number not in keep:
                storage.set_trial_user_attr(trial._trial_id, "reason", CUT)
                storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def restore(url: str, name: str, assignment: Assignment, outcomes: Mapping[int, Outcome]) -> None:
    """Make the storage say of a search what was recorded; repeated, it changes nothing.

    Raises:
        StoreError: the storage cannot be opened.
    """
    trials = read(url, lambda known: known == name).get(name)
    if trials is not None and compare(trials, outcomes, assignment.metric).other:
        # A trial that has ended cannot be changed there, so the whole search is written again.
        with _storage(url) as storage, suppress(KeyError):
            storage.delete_study(storage.get_study_id_from_name(name))
        trials = None
    if trials is not None:
        stop(url, name, outcomes)
    there = {trial.number for trial in trials or ()}
    store = Store(url, name, assignment, lambda _: None)
    for number in range(max(outcomes, default=-1) + 1):
        # The storage counts trials itself: one that was in flight and never ended must hold its place.
        if number in outcomes or number not in there:
            store.end(outcomes.get(number) or _cut(number))
    store.close()


def _cut(number: int) -> Outcome:
    return Outcome(Trial(number, {}, {}, 1, ()), "failed", (), None, CUT)


@contextmanager
def _storage(url: str) -> Iterator[optuna.storages.RDBStorage]:
    optuna.logging.set_verbosity(logging.ERROR)
    with opening(url):
        storage = opened(url, may_create=False)
        try:
            yield storage
        finally:
            storage.remove_session()
            storage.engine.dispose()
