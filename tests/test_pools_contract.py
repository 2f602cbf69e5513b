"""One contract for every worker pool: the same trials, the same curves, whoever dies. With a fake program."""

import re
from functools import partial
from pathlib import Path

import pytest
from clusters import three
from test_pool import expected, placed, run, scores, trials

from pipeline.errors import StoreError
from pipeline.workers import Pool

__all__ = ["three"]
POOLS = ["local", pytest.param("ray", marks=pytest.mark.cluster)]


@pytest.fixture(params=POOLS)
def opened(request, tmp_path):
    """A function that opens a pool of so many workers with the fake program."""
    more = {}
    if request.param == "ray":
        request.getfixturevalue("three")
        from pipeline.workers import cluster

        cluster.check()
        more = {"launch": partial(cluster.RayProcess, {"num_cpus": 1})}

    def opened(num_workers=2, **settings):
        own, places = placed(tmp_path, num_workers)
        return Pool({**own, **settings}, places, tmp_path / "log", **more)

    return opened


@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_trial_is_trained_whatever_the_number_of_workers(opened, num_workers):
    """The same curves, and the weights of each trial under its number."""
    with opened(num_workers) as pool:
        done = run(pool, trials(*[{}] * 7), parallel=4)
        folder = Path(pool._settings["folder"])
    assert scores(done) == expected(7)
    assert [(folder / f"{number}.weights.h5").read_text() for number in range(7)] == [*"0123456"]
    assert list(folder.glob(".*")) == []


def test_the_order_does_not_depend_on_who_is_slow(opened):
    """A trial that takes its time holds its result up, but not the order."""
    seen = []
    with opened(2) as pool:
        run(pool, trials({"seconds": 0.05}, {}, {"seconds": 0.02}), watch=seen.append)
    assert [(one.number, one.epoch) for one in seen] == [(n, epoch) for epoch in (1, 2, 3) for n in (0, 1, 2)]


@pytest.mark.parametrize(("epoch", "num_workers"), [(1, 2), (2, 1), (3, 2)])
def test_a_trial_whose_worker_dies_is_trained_again(opened, epoch, num_workers):
    """Once, on a new worker, with the same result; so are the others that the worker had."""
    with opened(num_workers) as pool:
        done = run(pool, trials({}, {"dies": [epoch]}, {}, {}))
    assert scores(done) == expected(4)
    assert {one.state for one in done} == {"complete"}


@pytest.mark.parametrize("dies", [[1, 1], [3, 1]])
def test_a_trial_that_kills_its_worker_twice_is_failed(opened, dies):
    """Also where the second death comes in an epoch that was handed over already; the others go on."""
    with opened(1) as pool:
        done = run(pool, trials({}, {"dies": dies}, {}, {}))
    assert [one.state for one in done] == ["complete", "failed", "complete", "complete"]
    assert done[1].reason == "the training process died 2 times (exit status -9)"
    assert [one.is_accident for one in done] == [False, True, False, False]
    assert [len(one.curve) for one in done] == [3, max(dies) - 1, 3, 3]


def test_a_trial_that_raises_is_failed_with_its_reason(opened):
    """The first line of the exception; its worker lives on."""
    with opened(1) as pool:
        done = run(pool, trials({}, {"raises": 2}, {}))
        assert len(list(pool.log_folder.iterdir())) == 1
    assert (done[1].state, scores(done)[1]) == ("failed", [11])
    # With the line of whoever wrote the model; here it is the fake's.
    assert re.fullmatch(r"ValueError: too wide \(sitecustomize\.py, line \d+\)", done[1].reason)
    assert scores(done)[::2] == expected(3)[::2]
    assert not done[1].is_accident


def test_a_late_answer_is_not_taken_for_another_trials(opened):
    """A trial that was stopped in the middle may be started again under its number, as another."""
    with opened(1) as pool:
        for width in range(5):
            [one] = trials({"width": width, "seconds": 0.01}, epochs=9)
            pool.start(one, 0, 1)
            assert round(10 * pool.result(0, 1).metrics["val_accuracy"]) == 10 * width + 1
            pool.stop(0)


def test_a_worker_that_cannot_start_says_where_to_look(opened):
    """The message names the log, which holds the traceback."""
    message = r"worker-0.log: a training process must start.\nReceived: exit status 1. Read the last lines"
    with opened(1, crash=True) as pool, pytest.raises(StoreError, match=message):
        run(pool, trials({}))
    assert "our own mistake" in (pool.log_folder / "worker-0.log").read_text()
