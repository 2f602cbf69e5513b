"""One contract for every engine, sampler and pruner: what the loop relies on, and that a search goes on."""

import gc
import math
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from fakes import (
    BATCH,
    DEFAULTS,
    ENGINES,
    GRID,
    RATE,
    FakePool,
    Logged,
    assignment,
    loop,
    num_trials,
    trained,
)

from pipeline.engines import open_engine
from pipeline.records.ledger import Ledger
from pipeline.space import Choice, Dimension, Range, Space
from pipeline.study.tables import LISTING

every_engine = pytest.mark.parametrize("names", ENGINES)
slow = pytest.mark.slow
STOPPED = [
    # Every other one is quick enough to be tried each time.
    pytest.param(*one.values, num_kept, id=f"{one.id}-{num_kept}", marks=slow if num_kept % 2 else one.marks)
    for one in ENGINES
    for num_kept in range(num_trials(one.values[0][1]) + 1)
]


@cache
def whole(names, **settings):
    """An unbroken search: its outcomes, and every ask, report and tell."""
    engine = Logged(open_engine(assignment(*names, **settings)))
    return loop(engine).run(), engine.log


@every_engine
def test_proposals_lie_in_the_space(names):
    """Each value is one that the study file allows, in Python's own type."""
    for outcome in whole(names)[0]:
        for entry in assignment(*names).space:
            value = outcome.trial.values.get(entry.name)
            assert value is None or entry.values.holds(value)
            assert type(value) in (type(None), int, float, str)


@every_engine
def test_a_hyperparameter_that_does_not_count_is_not_proposed(names):
    """A trial has values for what counts there, and no others."""
    space = assignment(*names).space
    for outcome in whole(names)[0]:
        assert outcome.trial.values == space.active(outcome.trial.values)
        assert ("filters" in outcome.trial.values) == (outcome.trial.values.get("model") == "cnn")


@every_engine
def test_a_configuration_is_whole(names):
    """What is not searched is the arm's, else the default; the number of epochs is the trial's."""
    for outcome in whole(names)[0]:
        trial = outcome.trial
        assert trial.configuration == {
            **DEFAULTS,
            "activation": "tanh",
            **trial.values,
            "epochs": trial.epochs,
        }
        assert trial.seed_path == ("trial", trial.number)


@every_engine
def test_the_budget_is_spent_and_no_more(names):
    """As many trials as the study states, numbered in the order of asking; then None, for good."""
    engine = open_engine(assignment(*names))
    outcomes = loop(engine).run()
    assert sorted(outcome.trial.number for outcome in outcomes) == list(range(num_trials(names[1])))
    assert [engine.ask() for _ in range(3)] == [None] * 3


@every_engine
def test_the_same_seed_gives_the_same_sequence(names):
    """Every ask, report and tell is the same; another seed gives other trials, but for a list of points."""
    engine = Logged(open_engine(assignment(*names)))
    assert loop(engine).run() == whole(names)[0]
    assert engine.log == whole(names)[1]
    asked = [[said[1] for said in whole(names, seed=seed)[1] if said[0] == "ask"] for seed in (1, 2)]
    assert ([trial for trial in asked[0] if trial] == [trial for trial in asked[1] if trial]) == (
        names[1] in LISTING
    )


@every_engine
def test_every_ending_is_taken(names):
    """The searches of these tests have complete and failed trials, and pruned ones if there is a pruner."""
    states = Counter(outcome.state for outcome in whole(names)[0])
    assert {"complete", "failed"} <= set(states)
    assert bool(states["pruned"]) == (names[2] != "none")


@every_engine
def test_a_search_without_a_single_score_goes_on(names):
    """An engine whose every trial fails spends its budget all the same."""
    pool = FakePool(lambda trial, epoch: replace(trained(trial, epoch), metrics={"loss": math.nan}))
    outcomes = loop(assignment(*names), pool=pool).run()
    assert [outcome.state for outcome in outcomes] == ["failed"] * num_trials(names[1])


@pytest.mark.parametrize(("names", "num_kept"), STOPPED)
def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(names, num_kept, tmp_path):
    """From any number of recorded outcomes: the same outcomes, by the same asks, reports and tells."""
    record = broken_off(assignment(*names), num_kept, tmp_path / "record.jsonl")
    assert len(record.outcomes) == num_kept
    engine, pool = Logged(open_engine(assignment(*names))), FakePool()
    assert loop(engine, record.outcomes, pool).run() == whole(names)[0]
    assert engine.log == whole(names)[1]
    assert not record.outcomes.keys() & set(pool.started)


class BrokenOffError(Exception):
    """The process was killed."""


def broken_off(work, num_kept, path, parallel=3):
    """The ledger of a search that was killed when it had recorded so many outcomes, or had them all."""
    ledger = Ledger(path)

    def keep(outcome):
        if len(ledger.outcomes) == num_kept:
            raise BrokenOffError
        ledger.append(outcome, 1.0)

    search = loop(work, keep=keep, parallel=parallel)
    if num_kept < work.arm.search.trials:
        with pytest.raises(BrokenOffError):
            search.run()
    else:
        search.run()
    return Ledger(path)


@every_engine
def test_more_trials_extend_a_search(names, tmp_path):
    """A search to which trials are added ends as one that had them from the beginning."""
    fewer = num_trials(names[1]) - 4
    record = broken_off(assignment(*names, trials=fewer), fewer, tmp_path / "record.jsonl")
    assert len(record.outcomes) == fewer
    engine = Logged(open_engine(assignment(*names)))
    assert loop(engine, record.outcomes).run() == whole(names)[0]
    assert engine.log == whole(names)[1]


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_name_of_an_arm_decides_nothing(sampler):
    """Arms of equal settings try the same trials and prune the same ones, whatever they are called."""
    work = assignment("optuna", sampler, "hyperband", epochs=9, trials=20)
    logs = []
    for name in ("relu", "tanh"):
        engine = Logged(open_engine(replace(work, arm=replace(work.arm, name=name))))
        loop(engine).run()
        logs.append(engine.log)
    assert logs[0] == logs[1]
    assert any(said[0] == "report" and not said[-1] for said in logs[0])


def test_a_pruned_trial_is_trained_on_when_the_search_around_it_grows(tmp_path):
    """A longer search may let a trial live that the shorter one pruned: it is trained further."""
    names, pool = ("optuna", "random", "successive_halving"), FakePool()
    ledger = broken_off(assignment(*names), 14, tmp_path / "record.jsonl", parallel=5)
    before = dict(ledger.outcomes)
    longer = assignment(*names, trials=22)
    outcomes = loop(longer, before, pool, parallel=5, keep=lambda one: ledger.append(one, 2.0)).run()
    assert outcomes == loop(longer, parallel=5).run()
    assert [number for number in pool.started if number in before] == [11]
    assert len(Ledger(ledger.path).outcomes[11].curve) > len(before[11].curve)


NESTED = Space(
    (
        Dimension("model", Choice(("mlp", "cnn"))),
        Dimension("hidden_layers", Range(0, 2, is_int=True), ("model", ("cnn",))),
        Dimension("dropout", Range(0.1, 0.7, is_int=False, step=0.3), ("hidden_layers", (1, 2))),
        Dimension("learning_rate", Choice((0.1, 0.01))),
    )
)


@pytest.mark.parametrize("engine", ["optuna", pytest.param("keras_tuner", marks=slow)])
@pytest.mark.parametrize("space", [GRID, NESTED], ids=["flat", "nested"])
@pytest.mark.parametrize("parallel", [1, 5])
def test_a_grid_has_every_point_once(engine, space, parallel):
    """Also where a hyperparameter counts at some values of another alone; exact to the last digit."""
    points = space.grid()
    outcomes = loop(assignment(engine, "grid", space=space, trials=100), parallel=parallel).run()
    found = [outcome.trial.values for outcome in outcomes]
    assert sorted(map(repr, found)) == sorted(map(repr, points))


@every_engine
def test_nested_conditions_hold(names):
    """Nobody proposes a value that hangs on a value that hangs on one that was not chosen."""
    outcomes = loop(assignment(*names, space=NESTED, trials=8)).run()
    for outcome in outcomes:
        assert outcome.trial.values == NESTED.active(outcome.trial.values)
    assert {"learning_rate"} < set().union(*(outcome.trial.values for outcome in outcomes))


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
def test_what_the_study_starts_with_comes_first(sampler):
    """Given configurations are tried first, in their order; what they leave open is sampled."""
    given = [{"learning_rate": 0.002, "batch_size": 64}, {"batch_size": 128}]
    space = Space((RATE, BATCH))
    outcomes = loop(assignment("optuna", sampler, space=space, start_with=given), parallel=1).run()
    first, second, *others = [outcome.trial.values for outcome in outcomes]
    assert first == given[0]
    assert second["batch_size"] == 128
    assert space.dimensions[0].values.holds(second["learning_rate"])
    assert len(others) == 14 - 2


@slow
def test_hyperband_of_keras_tuner_gives_each_trial_its_epochs():
    """Most begin with few; a promoted one has more, and the values of the trial that it comes from."""
    outcomes = loop(assignment("keras_tuner", "hyperband", epochs=9, trials=30)).run()
    epochs = Counter(outcome.trial.epochs for outcome in outcomes)
    assert set(epochs) == {1, 3, 9}
    assert all(outcome.trial.configuration["epochs"] == outcome.trial.epochs for outcome in outcomes)
    begun = {repr(one.trial.values) for one in outcomes if one.trial.epochs == 1}
    assert any(repr(one.trial.values) in begun for one in outcomes if one.trial.epochs == 3)


@every_engine
def test_an_engine_prints_nothing(names, capfd):
    """Standard output and standard error belong to the program, not to the libraries."""
    engine = open_engine(assignment(*names))
    capfd.readouterr()
    loop(engine).run()
    assert capfd.readouterr() == ("", "")


@slow
def test_nothing_is_left_in_the_temporary_folder_when_an_engine_is_gone(tmp_path, monkeypatch):
    """Keras Tuner writes files as it goes; they go with the engine."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    engine = open_engine(assignment("keras_tuner"))
    assert list(tmp_path.iterdir())
    del engine
    gc.collect()
    assert list(tmp_path.iterdir()) == []


@slow
def test_nothing_is_left_in_the_temporary_folder_at_exit(tmp_path):
    """Also when the program ends while its engine is still there."""
    program = "from fakes import assignment, loop; search = loop(assignment('keras_tuner')); search.run()"
    paths = f"{Path(__file__).parent}:{Path(__file__).parents[1]}"
    environment = {"TMPDIR": str(tmp_path), "PYTHONPATH": paths, "PATH": "", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True)
    assert list(tmp_path.iterdir()) == []
