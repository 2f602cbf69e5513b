"""The one loop, with fakes on both sides of it."""

import math

import pytest
from fakes import FakePool, Logged, Script, assignment, loop, outcome, trained, trial
from test_clock import Hasty

from pipeline.engines import open_engine
from pipeline.search import Listed, Loop, Rules
from pipeline.trial import EpochResult, Outcome
from pipeline.workers import VirtualTrainer


class Cheerless(FakePool):
    """One epoch of one trial goes wrong; the others score their epoch's number."""

    def __init__(self, number, epoch, **wrong):
        super().__init__(self.epoch_of)
        self.at, self.wrong = (number, epoch), wrong

    def epoch_of(self, one, epoch):
        if (one.number, epoch) == self.at and "reason" in self.wrong:
            return EpochResult(one.number, epoch, reason=self.wrong["reason"])
        metrics = {"loss": 1.0, "val_accuracy": float(epoch)}
        return EpochResult(
            one.number, epoch, metrics | (self.wrong if (one.number, epoch) == self.at else {}), 2.0
        )


def scoring(*scores):
    """A pool whose trial n scores scores[n] at every epoch."""
    return FakePool(lambda one, epoch: EpochResult(one.number, epoch, {"val_accuracy": scores[one.number]}))


@pytest.mark.parametrize("parallel", [1, 3, 9])
def test_as_many_trials_are_in_flight_as_the_study_states(parallel):
    """Never more than `parallel`, and no fewer while there are trials to try."""
    pool, most = FakePool(), []
    loop(Script(6), pool=pool, parallel=parallel, watch=lambda _: most.append(len(pool.flying))).run()
    assert max(most) == min(parallel, 6)
    assert most[0] == min(parallel, 6)


def test_every_epoch_is_reported():
    """The engine hears the objective's metric after each epoch, the last included."""
    engine = Logged(Script(2, epochs=3))
    loop(engine, pool=Cheerless(9, 9), parallel=1).run()
    reports = [entry[1:4] for entry in engine.log if entry[0] == "report"]
    assert reports == [(number, epoch, float(epoch)) for number in (0, 1) for epoch in (1, 2, 3)]


def test_a_complete_trial_keeps_its_whole_curve():
    """The score is the last epoch's, the seconds those of all epochs."""
    [kept] = loop(Script(1, epochs=3), pool=Cheerless(9, 9)).run()
    assert (kept.state, kept.score, kept.seconds, kept.reason) == ("complete", 3.0, 6.0, "")
    assert kept.curve == tuple({"loss": 1.0, "val_accuracy": float(epoch)} for epoch in (1, 2, 3))


def test_an_unpromising_trial_is_pruned_at_its_epoch():
    """It ends there with the score it had; its place goes to the next trial."""
    pool = Cheerless(9, 9)
    kept = loop(Script(3, [(1, 2)]), pool=pool, parallel=1).run()
    assert [one.state for one in kept] == ["complete", "pruned", "complete"]
    assert (kept[1].score, kept[1].reason, len(kept[1].curve)) == (2.0, "pruned at epoch 2", 2)
    assert (1, 3) not in pool.asked


def test_a_trial_at_its_last_epoch_is_complete_whatever_the_pruner_says():
    """There is nothing left to save."""
    [kept] = loop(Script(1, [(0, 3)], epochs=3), pool=Cheerless(9, 9)).run()
    assert kept.state == "complete"


def test_an_outcome_is_recorded_before_the_engine_hears_of_it():
    """What the engine builds on is safe first."""
    engine = Logged(Script(3))
    loop(engine, keep=lambda one: engine.log.append(("keep", one.trial.number))).run()
    ends = [entry[:2] for entry in engine.log if entry[0] in ("keep", "tell")]
    assert ends == [(what, number) for _, number in ends[::2] for what in ("keep", "tell")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", ["loss", "val_accuracy"])
def test_a_trial_that_diverges_is_failed(metric, value):
    """The reason names epoch and metric; no such number reaches the engine; the search goes on."""
    engine = Logged(Script(3))
    kept = loop(engine, pool=Cheerless(1, 2, **{metric: value}), parallel=1).run()
    assert [one.state for one in kept] == ["complete", "failed", "complete"]
    assert (kept[1].reason, kept[1].score) == (f"diverged at epoch 2: {metric} is {value}", None)
    assert [len(one.curve) for one in kept] == [3, 1, 3]
    assert all(math.isfinite(entry[3]) for entry in engine.log if entry[0] == "report")


def test_a_trial_that_cannot_be_trained_is_failed_with_its_reason():
    """What the trainer says becomes the outcome's reason."""
    kept = loop(Script(2), pool=Cheerless(0, 1, reason="MemoryError: too wide"), parallel=1).run()
    assert [(one.state, one.reason, one.curve) for one in kept[:1]] == [
        ("failed", "MemoryError: too wide", ())
    ]
    assert kept[1].state == "complete"


@pytest.mark.parametrize("maximize", [True, False])
def test_patience_stops_asking(maximize):
    """After two outcomes without a better score no further trial is asked for."""
    scores = [0.5, 0.6, 0.6, 0.5, 0.7, 0.8]
    pool = scoring(*(scores if maximize else [-score for score in scores]))
    one = loop(Script(6, epochs=1), pool=pool, parallel=1, patience=2, is_maximized=maximize)
    assert [kept.trial.number for kept in one.run()] == [0, 1, 2, 3]


def test_patience_that_is_lost_does_not_come_back():
    """A trial in flight may still be the best, but asking has ended: more patience goes on from there."""
    pool = scoring(0.5, 0.4, 0.9, 0.9, 0.9, 0.9)
    kept = loop(Script(6, epochs=1), pool=pool, parallel=2, patience=1).run()
    assert sorted(one.trial.number for one in kept) == [0, 1, 2]


def test_pruned_and_failed_trials_use_patience_up():
    """Only a complete trial can be a better one."""
    script = Script(6, [(0, 1), (2, 1)])
    kept = loop(script, pool=Cheerless(1, 1, reason="no"), parallel=1, patience=2).run()
    assert [one.state for one in kept] == ["pruned", "failed"]


@pytest.mark.parametrize("num_outcomes", range(7))
def test_a_search_that_runs_out_of_time_begins_a_longer_one(num_outcomes):
    """Its outcomes are exactly the first of those that more time gives, and nothing stays in flight."""
    pool = FakePool()
    cut = loop(Script(6), pool=pool, is_time_up=lambda count: count >= num_outcomes).run()
    assert cut == loop(Script(6)).run()[:num_outcomes]
    assert pool.flying == {}


def test_nothing_is_left_in_flight():
    """Every trial that was started was stopped, however it ended."""
    pool = Cheerless(1, 2, loss=math.nan)
    loop(Script(7, [(3, 1)]), pool=pool).run()
    assert (sorted(pool.started), pool.flying) == (list(range(7)), {})


def test_an_engine_may_wait_for_an_outcome():
    """An engine with nothing to propose for now is asked again when something has happened."""
    kept = loop(Script(4, waits=[False, True, True, False]), parallel=2).run()
    assert sorted(one.trial.number for one in kept) == [0, 1, 2, 3]


def test_without_a_trial_there_is_no_outcome():
    """An engine that has nothing to propose ends the search before it begins."""
    assert loop(Script(0)).run() == []


def test_every_result_is_seen_as_it_is_handed_over():
    """Whoever watches sees what the loop sees, diverged epochs too."""
    seen = []
    loop(Script(2, epochs=2), pool=Cheerless(1, 1, loss=math.nan), parallel=1, watch=seen.append).run()
    assert [(result.number, result.epoch) for result in seen] == [(0, 1), (0, 2), (1, 1)]


def test_a_list_is_tried_in_its_order():
    """The engine of baseline and confirm proposes what it is given and prunes nothing."""
    listed = Listed([trial(2), trial(0), trial(1)])
    assert [one.trial.number for one in loop(listed, parallel=1).run()] == [2, 0, 1]
    assert listed.ask() is None
    assert listed.report(trial(), 1, -1.0)


def test_asks_reports_and_tells_do_not_depend_on_real_durations():
    """Pools that end their epochs in different orders lead to the same search, pruned trials and all."""
    searches = []
    for pool in (FakePool(), Hasty(1), Hasty(2), Hasty(3)):
        engine = Logged(open_engine(assignment("optuna", "tpe", "median")))
        searches.append((loop(engine, pool=pool).run(), engine.log))
    assert all(search == searches[0] for search in searches)
    assert {"pruned", "complete", "failed"} == {one.state for one in searches[0][0]}


def test_what_is_recorded_is_not_trained_again():
    """A loop that goes on reports and tells the recorded trials as if they had been trained."""
    first, second = Logged(Script(4)), Logged(Script(4))
    kept = loop(first).run()
    pool = FakePool()
    again = loop(second, {one.trial.number: one for one in kept}, pool=pool).run()
    assert (again, second.log, pool.started) == (kept, first.log, [])


def test_the_fakes_train_by_the_trial_alone():
    """The curves of these tests are pure functions of the trial, as a real trainer's are."""
    assert trained(trial(1), 2) == trained(trial(1), 2)
    assert outcome(1, 0.5).curve == ({"val_accuracy": 0.5},)


def rising_then_falling(trial, epoch):
    """Its best is epoch 2; the loss mirrors it."""
    score = [0.5, 0.9, 0.7, 0.6, 0.8, 0.1][epoch - 1]
    return EpochResult(
        trial.number, epoch, {"val_accuracy": score, "val_loss": -score}, weights_sha256=f"after {epoch}"
    )


def stopped_early(metric, is_maximized, at, **values):
    trainer = VirtualTrainer(FakePool(rising_then_falling), lambda _: 1)
    rules = Rules(metric, is_maximized, 1, at=at)
    [done] = Loop(Listed([trial(0, 6, **values)]), trainer, rules, lambda _: None).run()
    return done


@pytest.mark.parametrize(("metric", "is_maximized"), [("val_accuracy", True), ("val_loss", False)])
@pytest.mark.parametrize(("early_stopping", "num_epochs"), [(0, 6), (1, 3), (2, 4), (3, 5), (5, 6)])
def test_a_trial_ends_when_its_best_epoch_is_so_many_epochs_old(
    metric, is_maximized, early_stopping, num_epochs
):
    """It is complete; 0 means never."""
    done = stopped_early(metric, is_maximized, "last", early_stopping=early_stopping)
    assert (done.state, len(done.curve)) == ("complete", num_epochs)
    assert (done.score, done.epoch) == (done.curve[-1][metric], num_epochs)


@pytest.mark.parametrize(("metric", "is_maximized"), [("val_accuracy", True), ("val_loss", False)])
def test_the_score_may_be_read_at_the_best_epoch(metric, is_maximized):
    """Metrics and score are those of that epoch, as the record says."""
    done = stopped_early(metric, is_maximized, "best", early_stopping=2)
    assert (done.epoch, len(done.curve), done.metrics) == (2, 4, done.curve[1])
    assert done.score == done.curve[1][metric]
    assert Outcome.from_record(done.as_record()) == done
