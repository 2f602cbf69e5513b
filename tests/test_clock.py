"""The virtual clock: in which order results are handed over, whoever computes them and when."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fakes import FakePool, outcome, trained, trial
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StoreError
from pipeline.workers import VirtualTrainer


def costing(costs, pool=None, recorded=None):
    """A trainer whose trial n has the cost costs[n]."""
    return VirtualTrainer(pool or FakePool(), lambda one: costs[one.number], recorded, "record.jsonl")


def order(trainer, trials):
    """Admit the trials at once and train each to its end: (number, epoch) as they are handed over."""
    flying = {one.number: one for one in trials}
    for one in trials:
        trainer.admit(one)
    handed = []
    while flying:
        result = trainer.advance()
        handed.append((result.number, result.epoch))
        if result.epoch == flying[result.number].epochs:
            trainer.evict(flying.pop(result.number))
    return handed


def test_the_next_result_is_the_one_that_is_due_first():
    """A trial at a third of the cost hands over three epochs for each of the other's."""
    assert order(costing([3, 1]), [trial(0, 1), trial(1, 3)]) == [(1, 1), (1, 2), (0, 1), (1, 3)]


def test_of_results_due_at_once_the_lowest_number_comes_first():
    """Ties are broken by number, not by the order of admission."""
    assert order(costing([1, 1, 1]), [trial(2, 1), trial(0, 2), trial(1, 1)]) == [
        (0, 1),
        (1, 1),
        (2, 1),
        (0, 2),
    ]


def test_a_trial_begins_when_it_is_admitted():
    """Its first epoch is due one cost after the last result, not after the beginning."""
    trainer = costing([10, 4, 5])
    for one in (trial(0), trial(1)):
        trainer.admit(one)
    trainer.advance()
    trainer.admit(trial(2))
    assert [trainer.advance().number for _ in range(4)] == [1, 2, 0, 1]


def simulated(jobs, parallel):
    """The same by a list of every instant: (end, number, epoch) of trials that take the next free place."""
    ends, waiting, places = [], list(enumerate(jobs)), [0] * parallel
    while waiting:
        number, (cost, epochs) = waiting.pop(0)
        began = places.pop(places.index(min(places)))
        ends += [(began + epoch * cost, number, epoch) for epoch in range(1, epochs + 1)]
        places.append(began + epochs * cost)
    return [(number, epoch) for _, number, epoch in sorted(ends)]


@settings(deadline=None)
@given(
    jobs=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5)), min_size=1, max_size=9),
    parallel=st.integers(1, 4),
)
def test_the_order_is_that_of_a_simulation(jobs, parallel):
    """Whatever the costs, epochs and places: as if each trial in flight had a core of its own."""
    trainer = costing([cost for cost, _ in jobs])
    left = [trial(number, epochs) for number, (_, epochs) in enumerate(jobs)]
    flying, handed = {}, []
    while left or flying:
        while left and len(flying) < parallel:
            flying[left[0].number] = left[0]
            trainer.admit(left.pop(0))
        result = trainer.advance()
        handed.append((result.number, result.epoch))
        if result.epoch == flying[result.number].epochs:
            trainer.evict(flying.pop(result.number))
    assert handed == simulated(jobs, parallel)


class Hasty(FakePool):
    """Trains everything at once, each epoch on a thread of its own that takes its own time."""

    def __init__(self, seed):
        super().__init__()
        self.chance, self.pool = np.random.default_rng(seed), ThreadPoolExecutor(4)
        self.done, self.ended, self.lock = {}, [], threading.Lock()

    def start(self, one, began, cost):
        super().start(one, began, cost)
        for epoch in range(1, one.epochs + 1):
            self.done[one.number, epoch] = self.pool.submit(
                self.dawdle, one, epoch, self.chance.random() / 500
            )

    def dawdle(self, one, epoch, seconds):
        time.sleep(seconds)
        with self.lock:
            self.ended.append((one.number, epoch))
        return trained(one, epoch)

    def result(self, number, epoch):
        return self.done[number, epoch].result()


def test_the_order_does_not_depend_on_who_is_ready_first():
    """Pools that end their epochs in different orders hand over in the same one."""
    trials = [trial(number, 4) for number in range(4)]
    pools = [Hasty(seed) for seed in range(5)]
    orders = [order(costing([2, 3, 5, 7], pool), trials) for pool in pools]
    for pool in pools:
        pool.pool.shutdown()
    assert len({tuple(pool.ended) for pool in pools}) > 1
    assert orders == [order(costing([2, 3, 5, 7]), trials)] * 5


def test_what_is_recorded_is_handed_over_without_being_trained():
    """A recorded trial gives its curve at its own virtual time, and no pool hears of it."""
    pool = FakePool()
    trainer = costing([2, 3], pool, {0: outcome(0, 0.5, 0.6, 0.7, trial=trial(0))})
    assert order(trainer, [trial(0), trial(1)]) == [(0, 1), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]
    assert (pool.started, pool.flying) == ([1], {})


def test_a_recorded_failure_fails_again_at_its_epoch():
    """Its reason comes after the epochs that went well."""
    failed = outcome(0, 0.5, state="failed", trial=trial(0), reason="diverged")
    trainer = costing([1], recorded={0: failed})
    trainer.admit(trial(0))
    assert [trainer.advance().reason for _ in range(2)] == ["", "diverged"]


def test_a_recorded_trial_that_goes_further_is_trained_from_its_beginning():
    """Where the record of a pruned trial ends, the pool is asked; the curve goes on where it stood."""
    pool = FakePool()
    trainer = costing([2], pool, {0: outcome(0, 0.5, state="pruned", trial=trial(0))})
    trainer.admit(trial(0))
    first, second = trainer.advance(), trainer.advance()
    assert first.metrics == {"val_accuracy": 0.5}
    assert second == trained(trial(0), 2)
    assert (pool.started, pool.asked) == ([0], [(0, 2)])


def test_a_record_of_another_trial_is_refused():
    """A record that another program or a hand has made is named, with what to do."""
    trainer = costing([1], recorded={0: outcome(0, 0.5, trial=trial(0, dropout=0.1))})
    message = r"record.jsonl: trial 0 must be the one that the record holds.\nReceived: {'dropout': 0.2}"
    with pytest.raises(StoreError, match=message):
        trainer.admit(trial(0, dropout=0.2))


def test_an_evicted_trial_is_forgotten():
    """It hands over nothing more, and the pool is told to stop it."""
    pool = FakePool()
    trainer = costing([1, 2], pool)
    for number in (0, 1):
        trainer.admit(trial(number))
    trainer.evict(trial(0))
    assert (trainer.advance().number, list(pool.flying)) == (1, [1])
