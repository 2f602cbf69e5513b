"""A search in a real Optuna storage, for Optuna's own programs: a view of the ledger, never read to decide.

`optuna studies`, `optuna best-trial` and optuna-dashboard see each trial from the moment it is asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from pipeline.tracking.store import connect_arguments, database_path, is_there, made_alone, probe
from pipeline.trial import Outcome, Trial

STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
TABLES = ("studies", "trials", "alembic_version")
# Where Optuna keeps what `Study.set_metric_names` says; that warns, and warnings are no thread's own.
METRIC_NAMES = "study:metric_names"


class OptunaView:
    """One search as a study of an Optuna storage; trial numbers are the search's own.

    Args:
        url: an SQLAlchemy URL, SQLite or any other that Optuna knows.
        name: the study's name there.
        tables: the tables of the study file that the search was made from.
        recorded: outcomes by number, those that the ledger has already.
    """

    def __init__(
        self, url: str, name: str, tables: Mapping[str, Any], recorded: Mapping[int, Outcome]
    ) -> None:
        self._name, self._outcomes = name, dict(recorded)
        objective = tables["objective"]
        self._metric = metric_of(tables)
        direction = StudyDirection.MAXIMIZE if objective["maximize"] else StudyDirection.MINIMIZE
        self._directions = [direction]
        self._known = {entry["name"]: _distribution(entry) for entry in tables["space"]}
        self._storage = _opened(url)
        self._running: dict[int, int] = {}
        self._num_trials = 0
        self._go_on()

    def begin(self, trial: Trial) -> None:
        """A trial is in flight: it is shown as running."""
        # Trials are asked for in the order of their numbers; what was asked for again is there.
        if trial.number == self._num_trials:
            frozen = self._frozen(trial, None)
            self._running[trial.number] = self._storage.create_new_trial(self._study_id, frozen)
            self._num_trials += 1

    def put(self, outcome: Outcome) -> None:
        """A trial has ended: the running one is finished."""
        number = outcome.trial.number
        self._outcomes[number] = outcome
        trial_id = self._running.pop(number, None)
        if trial_id is None:
            return
        for epoch, score in _curve(outcome, self._metric).items():
            self._storage.set_trial_intermediate_value(trial_id, epoch, score)
        self._storage.set_trial_user_attr(trial_id, "reason", outcome.reason)
        value = _value(outcome)
        self._storage.set_trial_state_values(
            trial_id, STATES[outcome.state], None if value is None else [value]
        )

    def finish(self, ended: str) -> Iterator[object]:  # noqa: ARG002  the seam's name
        """Make the study anew if it is not what is recorded: Optuna lets no trial that has ended change."""
        there = self._storage.get_all_trials(self._study_id, deepcopy=False)
        if not differing(there, self._outcomes, self._metric):
            return
        self._start_anew()
        for number in range(_num_shown(self._outcomes)):
            outcome = self._outcomes.get(number)
            trial = outcome.trial if outcome else Trial(number, {}, {}, 1, ())
            yield self._storage.create_new_trial(self._study_id, self._frozen(trial, outcome or _CUT))

    def close(self) -> None:
        """Let go of the database."""
        _close(self._storage)

    def _go_on(self) -> None:
        """Go on with the study that is there, unless a trial of it has ended otherwise than is recorded."""
        there: list[FrozenTrial] | None = None
        with suppress(KeyError):
            self._study_id = self._storage.get_study_id_from_name(self._name)
            there = self._storage.get_all_trials(self._study_id, deepcopy=False)
        ended = [trial for trial in there or () if trial.state.is_finished()]
        numbers = {trial.number for trial in ended}
        recorded = {number: one for number, one in self._outcomes.items() if number in numbers}
        if there is None or any(
            _said(trial) != _wanted(recorded.get(trial.number), self._metric) for trial in ended
        ):
            self._start_anew()
            return
        self._running = {t.number: t._trial_id for t in there if not t.state.is_finished()}
        self._num_trials = len(there)

    def _start_anew(self) -> None:
        with suppress(KeyError):
            self._storage.delete_study(self._storage.get_study_id_from_name(self._name))
        self._study_id = self._storage.create_new_study(self._directions, self._name)
        self._storage.set_study_system_attr(self._study_id, METRIC_NAMES, [self._metric])
        self._running, self._num_trials = {}, 0

    def _frozen(self, trial: Trial, outcome: Outcome | None) -> FrozenTrial:
        return optuna.trial.create_trial(
            state=STATES[outcome.state] if outcome else TrialState.RUNNING,
            value=_value(outcome) if outcome else None,
            params=dict(trial.values),
            distributions={name: self._known[name] for name in trial.values},
            user_attrs={
                "configuration": dict(trial.configuration),
                "reason": outcome.reason if outcome else "",
            },
            intermediate_values=_curve(outcome, self._metric) if outcome else {},
        )


# The storage counts trials itself: one that was in flight when a search was cut must hold its place.
_CUT = Outcome(Trial(0, {}, {}, 1, ()), "failed", (), None, "cut: the search ended before it")


def metric_of(tables: Mapping[str, Any]) -> str:
    """The objective's name."""
    return str(tables["objective"]["maximize"] or tables["objective"]["minimize"])


def studies(url: str) -> dict[str, list[FrozenTrial]]:
    """The trials of every study in a storage, by the study's name. Nothing is written."""
    if not is_there(url):
        return {}
    with _reading(url) as storage:
        return {
            study.study_name: storage.get_all_trials(study._study_id, deepcopy=False)
            for study in storage.get_all_studies()
        }


def differing(trials: Sequence[FrozenTrial], outcomes: Mapping[int, Outcome], metric: str) -> list[int]:
    """The numbers of the trials that are not there, or not what is recorded."""
    said = {trial.number: _said(trial) for trial in trials}
    wanted = {number: _wanted(outcomes.get(number, _CUT), metric) for number in range(_num_shown(outcomes))}
    return [number for number in sorted({*said, *wanted}) if said.get(number) != wanted.get(number)]


def _num_shown(outcomes: Mapping[int, Outcome]) -> int:
    return max(outcomes, default=-1) + 1


def _said(trial: FrozenTrial) -> tuple[object, ...]:
    return trial.state, trial.params, trial.value, trial.intermediate_values


def _wanted(outcome: Outcome | None, metric: str) -> tuple[object, ...] | None:
    if outcome is None:
        return None
    return STATES[outcome.state], dict(outcome.trial.values), _value(outcome), _curve(outcome, metric)


def _value(outcome: Outcome) -> float | None:
    return None if outcome.state == "failed" else outcome.score


def _curve(outcome: Outcome, metric: str) -> dict[int, float]:
    return {epoch: metrics[metric] for epoch, metrics in enumerate(outcome.curve, start=1)}


def _distribution(entry: Mapping[str, Any]) -> BaseDistribution:
    """An entry of the space, as a study's plan has it, in the words of Optuna's storages."""
    if "values" in entry:
        return CategoricalDistribution(tuple(entry["values"]))
    if entry["is_int"]:
        return IntDistribution(int(entry["low"]), int(entry["high"]), entry["log"], int(entry["step"] or 1))
    return FloatDistribution(entry["low"], entry["high"], entry["log"], entry["step"])


def _opened(url: str) -> RDBStorage:
    """The storage at `url`; its tables, and the file, are made where there are none."""
    optuna.logging.set_verbosity(logging.ERROR)
    # Two processes that meet a fresh file at once would both create its schema.
    with made_alone(url):
        probe(url, TABLES)
        return RDBStorage(_escaped(url), _engine_settings(url))


@contextmanager
def _reading(url: str) -> Iterator[RDBStorage]:
    """The storage at `url`, in which no tables are made."""
    optuna.logging.set_verbosity(logging.ERROR)
    probe(url, TABLES)
    storage = RDBStorage(_escaped(url), _engine_settings(url), skip_table_creation=True)
    try:
        yield storage
    finally:
        _close(storage)


def _close(storage: RDBStorage) -> None:
    try:
        storage.remove_session()
    finally:
        storage.engine.dispose()


def _engine_settings(url: str) -> dict[str, Any]:
    if database_path(url) is not None:
        return {"connect_args": {"timeout": 60}}
    return {"pool_pre_ping": True, "connect_args": connect_arguments(url)}


def _escaped(url: str) -> str:
    """Optuna formats the URL, so a brace in a password would be taken for a field."""
    return url.replace("{", "{{").replace("}", "}}")
