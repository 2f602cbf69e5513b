"""A real Optuna storage that other programs open: a copy of the search, written as it goes, never read from.

`optuna studies`, `optuna best-trial` and optuna-dashboard see each trial from the moment it is asked for.
The search itself does not depend on the storage: one that is away is brought up to date when it is back.
"""

from __future__ import annotations

import logging
import re
import sqlite3
import time
import warnings
from collections.abc import Callable
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from filelock import FileLock
from optuna.trial import FrozenTrial, TrialState

from pipeline.errors import StoreError, hidden, scrubbed, shortened
from pipeline.files import refuse_torn
from pipeline.space import Choice, Range, Space
from pipeline.trial import Outcome, Trial

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.engines import Assignment

UNSAFE = re.compile(r"^(redis|journal)", re.IGNORECASE)
# An attempt that fails is followed by a rest this many times as long: a storage that hangs costs a tenth.
REST = 9
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


class Store:
    """Copies trials into a study of an Optuna storage; trial numbers are the search's own.

    Args:
        url: an SQLAlchemy URL, SQLite or any other that Optuna knows.
        name: the study's name there; it holds a hash of the space, since Optuna freezes choices.
        say: told in a sentence when the storage cannot be written; the search goes on.

    Raises:
        StoreError: the storage cannot be opened. The message hides the password.
    """

    def __init__(self, url: str, name: str, assignment: Assignment, say: Callable[[str], None]) -> None:
        self._url, self._name, self._assignment, self._say = url, name, assignment, say
        self._seen: dict[int, tuple[Trial, Outcome | None]] = {}
        self._waiting: set[int] = set()
        self._ids: dict[int, int] = {}
        self._is_told = False
        self._rests_until = 0.0
        optuna.logging.set_verbosity(logging.ERROR)
        with opening(url):
            self._storage = opened(url)
            self._study_id = self._opened()

    def begin(self, trial: Trial) -> None:
        """A trial was asked for."""
        self._take(trial, None)

    def end(self, outcome: Outcome) -> None:
        """A trial has ended."""
        self._take(outcome.trial, outcome)

    def close(self) -> bool:
        """Write what waits; what was cut in flight is failed there. Whether all of it was written."""
        for number, (trial, outcome) in self._seen.items():
            if outcome is None:
                cut = Outcome(trial, "failed", (), None, "cut: the search ended before it")
                self._seen[number] = (trial, cut)
                self._waiting.add(number)
        is_whole = self.sync()
        with suppress(Exception):
            self._storage.remove_session()
            self._storage.engine.dispose()
        return is_whole

    def sync(self) -> bool:
        """Write what waits; whether all of it was written."""
        began = time.monotonic()
        try:
            self._catch_up()
        # Whatever the database does, the search and its record go on without it.
        except Exception as error:
            now = time.monotonic()
            self._rests_until = now + REST * (now - began)
            if not self._is_told:
                self._is_told = True
                reason = shortened(scrubbed(error, self._url), 120)
                self._say(f"The Optuna storage cannot be written ({reason}); what is missing follows later.")
            return False
        return True

    def _take(self, trial: Trial, outcome: Outcome | None) -> None:
        self._seen[trial.number] = (trial, outcome)
        self._waiting.add(trial.number)
        if time.monotonic() >= self._rests_until:
            self.sync()

    def _catch_up(self) -> None:
        is_fresh = False
        while self._waiting:
            number = min(self._waiting)
            try:
                is_written = self._write(*self._seen[number])
            except KeyError:
                # A study that was deleted by hand is written anew, but not for ever.
                if is_fresh:
                    raise
                is_written = False
            if is_written:
                self._waiting.discard(number)
            else:
                self._start_afresh()
                is_fresh = True

    def _opened(self) -> int:
        study = optuna.create_study(
            storage=self._storage,
            study_name=self._name,
            direction="maximize" if self._assignment.is_maximized else "minimize",
            load_if_exists=True,
        )
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            study.set_metric_names([self._assignment.metric])
        for frozen in study.get_trials(deepcopy=False):
            self._ids[frozen.number] = frozen._trial_id
        return study._study_id

    def _write(self, trial: Trial, outcome: Outcome | None) -> bool:
        """Say this of a trial; False where the storage says otherwise for good."""
        known = self._ids.get(trial.number)
        if known is None:
            template = self._frozen(trial, outcome)
            self._ids[trial.number] = self._storage.create_new_trial(self._study_id, template)
            return True
        frozen = self._storage.get_trial(known)
        if self._fits(frozen, trial, outcome):
            return True
        if frozen.params != dict(trial.values) or outcome is None or frozen.state.is_finished():
            return False
        self._finish(known, outcome)
        return True

    def _fits(self, frozen: FrozenTrial, trial: Trial, outcome: Outcome | None) -> bool:
        """Whether the storage already says this, or more."""
        if frozen.params != dict(trial.values):
            return False
        if outcome is None:
            return True
        values = self._intermediate(outcome)
        return frozen.state == STATES[outcome.state] and frozen.intermediate_values == values

    def _finish(self, trial_id: int, outcome: Outcome) -> None:
        for epoch, score in self._intermediate(outcome).items():
            self._storage.set_trial_intermediate_value(trial_id, epoch, score)
        self._storage.set_trial_user_attr(trial_id, "reason", outcome.reason)
        values = [outcome.score] if outcome.state != "failed" and outcome.score is not None else None
        self._storage.set_trial_state_values(trial_id, STATES[outcome.state], values)

    def _start_afresh(self) -> None:
        """A trial that has ended cannot be changed there: the whole study is written again."""
        with suppress(KeyError):
            optuna.delete_study(study_name=self._name, storage=self._storage)
        self._ids = {}
        self._study_id = self._opened()
        self._waiting = set(self._seen)

    def _intermediate(self, outcome: Outcome) -> dict[int, float]:
        metric = self._assignment.metric
        return {epoch: metrics[metric] for epoch, metrics in enumerate(outcome.curve, start=1)}

    def _frozen(self, trial: Trial, outcome: Outcome | None) -> FrozenTrial:
        known = distributions(self._assignment.space)
        score = outcome.score if outcome and outcome.state != "failed" else None
        return optuna.trial.create_trial(
            state=STATES[outcome.state] if outcome else TrialState.RUNNING,
            value=score,
            params=dict(trial.values),
            distributions={name: known[name] for name in trial.values},
            user_attrs={
                "configuration": dict(trial.configuration),
                "reason": outcome.reason if outcome else "",
            },
            intermediate_values=self._intermediate(outcome) if outcome else {},
        )


def distributions(space: Space) -> dict[str, optuna.distributions.BaseDistribution]:
    """The space in the words of Optuna's storages."""
    return {entry.name: _distribution(entry.values) for entry in space}


def _distribution(values: Range | Choice) -> optuna.distributions.BaseDistribution:
    if isinstance(values, Choice):
        return optuna.distributions.CategoricalDistribution(values.values)
    if values.is_int:
        step = int(values.step or 1)
        return optuna.distributions.IntDistribution(int(values.low), int(values.high), values.log, step)
    return optuna.distributions.FloatDistribution(values.low, values.high, values.log, values.step)


def opened(url: str, may_create: bool = True) -> optuna.storages.RDBStorage:
    """The storage at `url`; its tables, and the file, are made if they may be."""
    is_sqlite = url.startswith("sqlite")
    settings = {"connect_args": {"timeout": 60}} if is_sqlite else {"pool_pre_ping": True}
    # Optuna formats the URL, so a brace in a password would be taken for a field.
    escaped = url.replace("{", "{{").replace("}", "}}")
    if not (is_sqlite and may_create):
        return optuna.storages.RDBStorage(escaped, settings, skip_table_creation=not may_create)
    # Two processes that meet a fresh file at once would both create its schema.
    path = Path(url.split("///", 1)[-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Path(f"{path}.lock")
    # Where no file can be made, the lock would be waited for without end.
    lock.touch()
    _refuse_damaged(path)
    with FileLock(lock, timeout=60):
        return optuna.storages.RDBStorage(escaped, settings)


def _refuse_damaged(path: Path) -> None:
    """Pass over a whole file that is empty or Optuna's: it would put its tables beside anyone's."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=60)) as database:
        refuse_torn(database, path)
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if tables and "studies" not in tables:
        raise ValueError(f"a database that is not Optuna's own, with the tables {', '.join(sorted(tables))}")


@contextmanager
def opening(url: str) -> Iterator[None]:
    """Let what Optuna and its database throw be a StoreError that shows no password."""
    if UNSAFE.match(url):
        raise StoreError.of(
            "the Optuna storage must be a database that holds no pickles.",
            hidden(url),
            "Use sqlite, postgresql or mysql.",
            "Optuna storage",
        )
    try:
        yield
    except Exception as error:
        # SQLAlchemy adds a page of advice to what the database said.
        reason = scrubbed(getattr(error, "orig", None) or error, url)
        raise StoreError.of(
            "the Optuna storage must be a database that this version of Optuna can open and write.",
            f"{hidden(url)}: {reason}",
            "Move the file away, or mend the URL (STUDY_OPTUNA_STORAGE).",
            "Optuna storage",
        ) from error
