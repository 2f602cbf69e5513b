"""Failures, limits and early ends in a pool of worker processes, with the fake program of `test_pool`."""

import pytest
from test_pool import expected, opened, run, scores, trials

from pipeline.errors import DataError

__all__ = ["opened"]


@pytest.mark.parametrize(("at", "kept"), [("last", 4), ("best", 2)])
@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_weights_that_are_kept_are_those_that_are_scored(opened, tmp_path, at, kept, num_workers):
    """Early stopping ends the trial at epoch 4; what its worker had ordered beyond is not trained."""
    with opened(num_workers, score=["val_accuracy", True, at]) as pool:
        done = run(pool, trials(*[{"peak": 2, "early_stopping": 2}] * 3, epochs=9), at=at)
    assert [(one.state, len(one.curve), one.epoch) for one in done] == [("complete", 4, kept)] * 3
    assert [(tmp_path / f"{n}.weights.h5").read_text() for n in range(3)] == [
        f"{n} at {kept}" for n in range(3)
    ]
    assert all(one.weights_sha256.startswith("the weights of") for one in done)


def test_a_failure_is_believed_when_a_second_worker_has_it_too(opened):
    """Two workers have tried it; both live on."""
    with opened(2) as pool:
        done = run(pool, trials({}, {"raises": 2}, {}))
        pids = [worker.process.pid for worker in pool._workers]
        assert [worker.process.poll() for worker in pool._workers] == [None, None]
    assert (done[1].state, scores(done)[1], len(pids)) == ("failed", [11], 2)
    assert scores(done)[::2] == expected(3)[::2]


def test_a_worker_that_fails_what_another_trains_is_replaced(opened, tmp_path):
    """The trial is complete, and so are the others; the broken process is gone."""
    with opened(2) as pool:
        done = run(pool, trials({}, {"is_moody": 1}, {}, {}, {}, {}))
        pids = [str(worker.process.pid) for worker in pool._workers]
    assert scores(done) == expected(6)
    assert (tmp_path / "1-moody").read_text() not in pids


@pytest.mark.parametrize("num_workers", [1, 2])
def test_an_epoch_that_never_ends_fails_its_trial_alone(opened, num_workers):
    """Also where its process gives signs of life; what ran beside it is trained again."""
    with opened(num_workers, trial_minutes=0.02) as pool:
        done = run(pool, trials({}, {"seconds": 3600}, {}, {}))
    assert [one.state for one in done] == ["complete", "failed", "complete", "complete"]
    assert done[1].reason == "took longer than 0.02 minutes"
    assert not done[1].is_accident
    assert scores(done)[2:] == expected(4)[2:]


def test_the_limit_counts_all_epochs_of_a_trial(opened):
    """Each of them is within it."""
    with opened(1, trial_minutes=0.02) as pool:
        done = run(pool, trials({"seconds": 0.5}, {}, epochs=9))
    assert [one.state for one in done] == ["failed", "complete"]


def test_what_a_worker_refuses_is_said_as_it_says_it(opened):
    """Data that are not there are the user's to mend, in the words of the floor that knows."""
    with (
        opened(2, problem=True) as pool,
        pytest.raises(
            DataError, match=r"data/tiny: the data must be prepared first.\nReceived: nothing there."
        ),
    ):
        run(pool, trials({}))
