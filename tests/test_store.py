"""The Optuna storage of a search, read back by Optuna itself and by its command line."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from fakes import FakePool, assignment, loop
from optuna.trial import TrialState

from pipeline.engines import open_engine, store
from pipeline.engines.store import Store
from pipeline.trial import Outcome

slow = pytest.mark.slow
WORK = assignment("optuna", "random", "successive_halving", trials=6)
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A storage without a study: making its tables takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("empty") / "optuna.db"
    Store(f"sqlite:///{path}", "gone", WORK, print).close()
    optuna.delete_study(study_name="gone", storage=f"sqlite:///{path}")
    return path


@pytest.fixture
def path(tmp_path, empty):
    """Where the storage is."""
    return Path(shutil.copy(empty, tmp_path))


@pytest.fixture(scope="module")
def finished(empty, tmp_path_factory):
    """A storage with a finished search, and the search's outcomes."""
    path = Path(shutil.copy(empty, tmp_path_factory.mktemp("finished")))
    store = Store(f"sqlite:///{path}", "tiny-arm-1", WORK, print)
    outcomes = search(store)
    store.close()
    return path, outcomes


@pytest.fixture
def said():
    """What the storage has told the user."""
    return []


@pytest.fixture
def opened(path, said):
    """A function that opens the study of the tests in the storage."""
    stores = []

    def opened(work=None, url=None):
        stores.append(Store(url or f"sqlite:///{path}", "tiny-arm-1", work or WORK, said.append))
        return stores[-1]

    yield opened
    for one in stores:
        one._storage.engine.dispose()


class Begun:
    """An engine whose asks the storage hears of."""

    def __init__(self, engine, store):
        self.engine, self.store = engine, store
        self.report, self.tell = engine.report, engine.tell

    def ask(self):
        trial = self.engine.ask()
        if trial:
            self.store.begin(trial)
        return trial


def search(store, work=None, recorded=None, **more):
    """The outcomes of a search that the storage hears of."""
    engine = Begun(open_engine(work or WORK), store)
    return loop(engine, recorded, FakePool(), **{"keep": store.end, **more}).run()


def study(path):
    """The study as Optuna finds it."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    return optuna.load_study(study_name="tiny-arm-1", storage=storage)


def rows(path):
    """Of every trial there: state, parameters, the score after each epoch."""
    return [(row.state, row.params, row.intermediate_values) for row in study(path).trials]


def expected(outcomes):
    """The rows that these outcomes make."""
    return [
        (
            STATES[one.state],
            one.trial.values,
            {epoch: metrics["val_accuracy"] for epoch, metrics in enumerate(one.curve, start=1)},
        )
        for one in sorted(outcomes, key=lambda one: one.trial.number)
    ]


def test_optuna_finds_every_trial(finished):
    """Numbers, states, parameters, curves, configurations and reasons are the search's own."""
    path, outcomes = finished
    assert rows(path) == expected(outcomes)
    trials = study(path).trials
    for one in outcomes:
        row = trials[one.trial.number]
        assert row.user_attrs == {"configuration": one.trial.configuration, "reason": one.reason}
        assert row.value == one.score


def test_optuna_names_the_best_trial(finished):
    """By the study's direction and under the metric's name."""
    path, outcomes = finished
    complete = [one for one in outcomes if one.state == "complete"]
    assert study(path).best_trial.number == max(complete, key=lambda one: one.score).trial.number
    assert study(path).metric_names == ["val_accuracy"]


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("grid", marks=slow)])
def test_every_kind_of_value_is_stored(opened, path, sampler):
    """Choices, whole numbers, steps, log scales and values that do not count come back as they were."""
    work = assignment("optuna", sampler, trials=6)
    outcomes = sorted(search(opened(work), work), key=lambda one: one.trial.number)
    found = [row.params for row in study(path).trials]
    # 1 and 1.0 are equal; written out they are not.
    assert list(map(repr, found)) == [repr(one.trial.values) for one in outcomes]


def test_a_trial_runs_there_from_the_moment_it_is_asked_for(opened, path):
    """Optuna's programs see what is in flight, and its ending when it has ended."""
    store, engine = opened(), open_engine(WORK)
    trial = engine.ask()
    store.begin(trial)
    assert rows(path) == [(TrialState.RUNNING, trial.values, {})]
    assert study(path).trials[0].datetime_start is not None
    store.end(Outcome(trial, "complete", ({"val_accuracy": 0.5},), 0.5))
    assert rows(path) == [(TrialState.COMPLETE, trial.values, {1: 0.5})]
    assert study(path).trials[0].datetime_complete is not None


class KilledError(Exception):
    """The process was killed."""


@pytest.mark.parametrize("num_kept", [pytest.param(0, marks=slow), 3, pytest.param(6, marks=slow)])
def test_a_search_that_was_killed_is_brought_to_its_end_there(opened, path, num_kept):
    """The rows that it left running are completed by the search that goes on; no trial is there twice."""
    kept, first = {}, opened()

    def keep(outcome):
        if len(kept) == num_kept:
            raise KilledError
        kept[outcome.trial.number] = outcome
        first.end(outcome)

    if num_kept < 6:
        with pytest.raises(KilledError):
            search(first, keep=keep)
        assert TrialState.RUNNING in {row[0] for row in rows(path)}
    outcomes = search(opened(), recorded=kept)
    assert rows(path) == expected(outcomes)


def test_a_search_that_goes_on_leaves_the_rows_of_the_past_alone(opened, path, finished):
    """What is there already is not written again, so its times stand."""
    shutil.copy(finished[0], path)
    outcomes = finished[1]
    before = study(path).trials
    search(opened(), recorded={one.trial.number: one for one in outcomes})
    assert study(path).trials == before


def test_a_trial_that_ended_otherwise_rewrites_the_study(opened, path, finished):
    """Optuna lets no finished trial change: one that was trained further makes all of them new."""
    shutil.copy(finished[0], path)
    store, outcomes = opened(), finished[1]
    changed = next(one for one in outcomes if one.state == "pruned")
    further = Outcome(changed.trial, "complete", (*changed.curve, {"val_accuracy": 0.9}), 0.9)
    now = [further if one is changed else one for one in outcomes]
    for one in sorted(now, key=lambda one: one.trial.number):
        store.begin(one.trial)
        store.end(one)
    assert rows(path) == expected(now)
    assert len(optuna.get_all_study_names(f"sqlite:///{path}")) == 1


def test_what_a_search_leaves_in_flight_is_failed_there(opened, path):
    """A search that ran out of time leaves no row running; one with more time goes on all the same."""
    store = opened()
    cut = search(store, is_time_up=lambda count: count >= 3)
    assert store.close()
    states = [row[0] for row in rows(path)]
    assert TrialState.RUNNING not in states
    assert [row.user_attrs["reason"] for row in study(path).trials if row.state == TrialState.FAIL][-1] == (
        "cut: the search ended before it"
    )
    outcomes = search(opened(), recorded={one.trial.number: one for one in cut})
    assert rows(path) == expected(outcomes)


@slow
def test_a_storage_that_goes_away_does_not_stop_the_search(opened, path, said):
    """The user is told once, in a sentence; when it is back, everything that it missed is written."""
    store, calls = opened(), []

    def keep(outcome):
        store.end(outcome)
        calls.append(outcome)
        if len(calls) in (2, 4):
            old, new = ("trials", "away") if len(calls) == 2 else ("away", "trials")
            with sqlite3.connect(path) as database:
                database.execute(f"ALTER TABLE {old} RENAME TO {new}")
            database.close()

    outcomes = search(store, keep=keep)
    assert store.close()
    assert rows(path) == expected(outcomes)
    [sentence] = said
    assert sentence.startswith("The Optuna storage cannot be written (")
    assert sentence.endswith("); what is missing follows later.")


def test_a_study_that_is_deleted_by_hand_is_written_anew(opened, path, said):
    """Its rows come back with the next trial."""
    store = opened()

    def keep(outcome):
        store.end(outcome)
        if outcome.trial.number == 2:
            optuna.delete_study(study_name="tiny-arm-1", storage=f"sqlite:///{path}")

    outcomes = search(store, keep=keep)
    assert rows(path) == expected(outcomes)
    assert said == []


def test_a_storage_that_hangs_is_left_alone_for_a_while(opened, said, monkeypatch):
    """After an attempt of ten seconds that failed none is made for ninety, but at the end one always is."""
    one, now, attempts = opened(), [0.0], []

    def hanging(*_):
        attempts.append(now[0])
        now[0] += 10
        raise OSError("no answer")

    monkeypatch.setattr(one, "_write", hanging)
    monkeypatch.setattr(store.time, "monotonic", lambda: now[0])
    engine = open_engine(WORK)
    for _ in range(6):
        one.begin(engine.ask())
        now[0] += 20
    assert attempts == [0.0, 110.0]
    assert not one.close()
    assert len(attempts) == 3
    assert len(said) == 1


def optuna_says(*words):
    """What the command `optuna` prints, as JSON."""
    command = [Path(sys.executable).with_name("optuna"), *map(str, words), "--format", "json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@slow
def test_the_command_line_of_optuna_reads_the_storage(finished):
    """`optuna studies` lists the search, `optuna best-trial` names its best trial."""
    path, outcomes = finished
    url = f"sqlite:///{path}"
    [listed] = optuna_says("studies", "--storage", url)
    assert (listed["name"], listed["direction"], listed["n_trials"]) == ("tiny-arm-1", ["MAXIMIZE"], 6)
    best = optuna_says("best-trial", "--storage", url, "--study-name", "tiny-arm-1")
    complete = [one for one in outcomes if one.state == "complete"]
    assert best["number"] == max(complete, key=lambda one: one.score).trial.number
