"""A search in Optuna's storage, read back by Optuna itself and by its command line."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from fakes import FakePool, assignment, loop, tables
from optuna.trial import TrialState

from pipeline.engines import open_engine
from pipeline.tracking import optuna_view
from pipeline.tracking.live import Live
from pipeline.tracking.optuna_view import OptunaView
from pipeline.trial import Outcome

slow = pytest.mark.slow
WORK = assignment("optuna", "random", "successive_halving", trials=6)
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """A storage without a study: making its tables takes longer than most of these tests."""
    path = tmp_path_factory.mktemp("empty") / "optuna.db"
    opened_at(path).close()
    optuna.delete_study(study_name="tiny-arm-1", storage=f"sqlite:///{path}")
    return path


@pytest.fixture
def path(tmp_path, empty):
    """Where the storage is."""
    return Path(shutil.copy(empty, tmp_path))


@pytest.fixture(scope="module")
def finished(empty, tmp_path_factory):
    """A storage with a finished search, and the search's outcomes."""
    path = Path(shutil.copy(empty, tmp_path_factory.mktemp("finished")))
    return path, search(path)


def opened_at(path, recorded=None, work=None):
    return OptunaView(f"sqlite:///{path}", "tiny-arm-1", tables(work or WORK), recorded or {})


class Begun:
    """An engine whose asks the view hears of."""

    def __init__(self, engine, view):
        self.engine, self.view = engine, view
        self.report, self.tell = engine.report, engine.tell

    def ask(self):
        trial = self.engine.ask()
        if trial:
            self.view.begin(trial)
        return trial


def search(path, work=None, recorded=None, view=None, **more):
    """The outcomes of a search that the view shows from its beginning to its end."""
    view = view or opened_at(path, recorded, work)
    engine = Begun(open_engine(work or WORK), view)
    outcomes = loop(engine, recorded, FakePool(), **{"keep": view.put, **more}).run()
    list(view.finish("done"))
    view.close()
    return outcomes


def shown(path, outcomes):
    """Let the storage show these outcomes, as when they are delivered late."""
    view = opened_at(path, {one.trial.number: one for one in outcomes})
    list(view.finish("done"))
    view.close()


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
def test_every_kind_of_value_is_stored(path, sampler):
    """Choices, whole numbers, steps, log scales and values that do not count come back as they were."""
    work = assignment("optuna", sampler, trials=6)
    outcomes = sorted(search(path, work), key=lambda one: one.trial.number)
    found = [row.params for row in study(path).trials]
    # 1 and 1.0 are equal; written out they are not.
    assert list(map(repr, found)) == [repr(one.trial.values) for one in outcomes]


def test_a_trial_runs_there_from_the_moment_it_is_asked_for(path):
    """Optuna's programs see what is in flight, and its ending when it has ended."""
    view, engine = opened_at(path), open_engine(WORK)
    trial = engine.ask()
    view.begin(trial)
    assert rows(path) == [(TrialState.RUNNING, trial.values, {})]
    assert study(path).trials[0].datetime_start is not None
    view.put(Outcome(trial, "complete", ({"val_accuracy": 0.5},), 0.5))
    assert rows(path) == [(TrialState.COMPLETE, trial.values, {1: 0.5})]
    assert study(path).trials[0].datetime_complete is not None
    view.close()


class KilledError(Exception):
    """The process was killed."""


@pytest.mark.parametrize("num_kept", [pytest.param(0, marks=slow), 3, pytest.param(6, marks=slow)])
def test_a_search_that_was_killed_is_brought_to_its_end_there(path, num_kept):
    """The rows that it left running are completed by the search that goes on; no trial is there twice."""
    kept, first = {}, opened_at(path)

    def keep(outcome):
        if len(kept) == num_kept:
            raise KilledError
        kept[outcome.trial.number] = outcome
        first.put(outcome)

    if num_kept < 6:
        with pytest.raises(KilledError):
            search(path, view=first, keep=keep)
        assert TrialState.RUNNING in {row[0] for row in rows(path)}
    first.close()
    outcomes = search(path, recorded=kept)
    assert rows(path) == expected(outcomes)


def test_what_is_there_is_not_written_again(path, finished):
    """A search that goes on, or is delivered once more, leaves the rows of the past and their times alone."""
    shutil.copy(finished[0], path)
    before = study(path).trials
    search(path, recorded={one.trial.number: one for one in finished[1]})
    shown(path, finished[1])
    assert study(path).trials == before


def test_a_trial_that_ended_otherwise_makes_the_study_anew(path, finished):
    """Optuna lets no finished trial change: one that was trained further makes all of them new."""
    shutil.copy(finished[0], path)
    changed = next(one for one in finished[1] if one.state == "pruned")
    further = Outcome(changed.trial, "complete", (*changed.curve, {"val_accuracy": 0.9}), 0.9)
    now = [further if one is changed else one for one in finished[1]]
    shown(path, now)
    assert rows(path) == expected(now)
    assert len(optuna.get_all_study_names(f"sqlite:///{path}")) == 1


def test_what_a_search_leaves_in_flight_is_not_shown(path):
    """After a search that ran out of time no row runs; numbers stay, and one with more time goes on."""
    cut = search(path, is_time_up=lambda count: count >= 3)
    numbers = {one.trial.number for one in cut}
    found = study(path).trials
    assert {row.number for row in found if row.state != TrialState.FAIL or row.params} == numbers
    assert all(row.state.is_finished() for row in found)
    outcomes = search(path, recorded={one.trial.number: one for one in cut})
    assert rows(path) == expected(outcomes)


@slow
def test_a_storage_that_goes_away_is_said_once_and_delivered_later(path):
    """Nothing more is written there; made from the outcomes later, it has all of them."""
    said = []
    live = Live("It", f"sqlite:///{path}", lambda: opened_at(path), said.append)
    engine = open_engine(WORK)
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE trials RENAME TO away")
    outcomes = loop(Begun(engine, live), None, FakePool(), keep=live.put).run()
    assert not live.close("done")
    [sentence] = said
    assert sentence.startswith("It cannot be written (")
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE away RENAME TO trials")
    database.close()
    shown(path, outcomes)
    assert rows(path) == expected(outcomes)


def test_a_trial_that_is_not_recorded_differs(finished):
    """Neither is a missing one, nor one with another score, what was recorded."""
    path, outcomes = finished
    recorded = {one.trial.number: one for one in outcomes}
    [there] = optuna_view.studies(f"sqlite:///{path}").values()
    assert optuna_view.differing(there, recorded, "val_accuracy") == []
    assert optuna_view.differing(there[:-1], recorded, "val_accuracy") == [5]
    assert optuna_view.differing(there, {0: recorded[0]}, "val_accuracy") == [1, 2, 3, 4, 5]


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
