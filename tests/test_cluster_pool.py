"""What a pool does where actors, processes and machines of a cluster come and go. With a fake program."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
from functools import partial
from pathlib import Path

import pytest
from clusters import LOOPBACK, three, training, wait_for
from test_pool import expected, placed, run, scores, trials

from pipeline.errors import DataError, StudyError
from pipeline.workers import Pool

__all__ = ["three"]
pytestmark = pytest.mark.cluster


@pytest.fixture
def opened(three, tmp_path):
    """A function that opens a pool of so many workers, for some of which there is room now."""
    assert three.address
    from pipeline.workers import cluster

    cluster.check()

    def opened(num_workers=2, at_once=None, demand=None, **settings):
        own, places = placed(tmp_path, num_workers)
        launch = partial(cluster.RayProcess, demand or {"num_cpus": 1})
        return Pool({**own, **settings}, places, tmp_path / "log", None, launch, at_once)

    return opened


def test_an_actor_that_is_killed_is_replaced(opened):
    """By Ray, an operator or a preemption: its trials are trained again, with the same curves, unblamed."""
    killed = []

    def kill(_):
        if not killed:
            stat = Path(f"/proc/{training()[0]}/stat").read_text()
            killed.append(int(stat.rpartition(")")[2].split()[1]))
            os.kill(killed[0], signal.SIGKILL)

    with opened() as pool:
        done = run(pool, trials(*[{"works": 0.1}] * 5), watch=kill)
    assert scores(done) == expected(5)
    assert wait_for(lambda: not training())


def test_a_process_that_is_stopped_there_is_given_up(opened, monkeypatch):
    """Nothing is heard of it; another trains what it had."""
    monkeypatch.setenv("STUDY_GIVE_UP_SECONDS", "3")
    with opened() as pool:
        done = run(pool, trials({"dies": [2], "by": signal.SIGSTOP}, {}))
    assert scores(done) == expected(2)


def test_what_a_lost_machine_had_is_trained_elsewhere(opened, three):
    """Also where there is no room for another worker in its place; the pool goes on with the others."""
    with opened(6) as pool:
        gone = []

        def remove(_):
            if not gone:
                gone.append(next(iter(three.worker_nodes)))
                three.remove_node(gone[0], allow_graceful=False)

        done = run(pool, trials(*[{"works": 0.3}] * 9), parallel=6, watch=remove)
        assert sum(one.process.is_placed for one in pool._workers) == 4
    assert scores(done) == expected(9)
    three.add_node(**LOOPBACK)


def test_a_machine_that_joins_gets_a_worker(opened, three):
    """Workers beyond the room wait for it, and hold nothing up."""
    with opened(7, at_once=6) as pool:
        assert scores(run(pool, trials({}, {}))) == expected(2)
        assert [one.process.is_placed for one in pool._workers].count(True) == 6
        node = three.add_node(**LOOPBACK)
        assert wait_for(lambda: all(one.process.is_placed for one in pool._workers))
        assert scores(run(pool, trials(*[{}] * 9), parallel=7)) == expected(9)
    three.remove_node(node)


def test_two_workers_share_a_gpu(opened, three):
    """By halves, and a third one waits; the node says that it has a GPU, and no process looks for it."""
    node = three.add_node(**LOOPBACK, num_gpus=1)
    with opened(3, at_once=2, demand={"num_gpus": 0.5, "num_cpus": 0}) as pool:
        assert scores(run(pool, trials(*[{}] * 4))) == expected(4)
        assert [one.process.is_placed for one in pool._workers].count(True) == 2
    three.remove_node(node)


def test_data_that_are_not_there_are_sent(opened, tmp_path, monkeypatch):
    """Once, all that a worker opens and not the test split; they are kept under their hash."""
    from pipeline.workers import cluster

    folder, sent = tmp_path / "data", []
    folder.mkdir()
    card = {"classes": ["a"], "image_shape": [1], "arrays": {}, "sha256": f"{tmp_path.stat().st_ino:064d}"}
    (folder / "card.json").write_text(json.dumps(card))
    for name in ("train_images.npy", "test_images.npy"):
        (folder / name).write_text(name)
    shutil.move(folder, tmp_path / "elsewhere")
    parcel = cluster._parcel

    def elsewhere(what, settings):
        sent.append(parcel(what, {**settings, "data_folder": str(tmp_path / "elsewhere")}))
        return sent[-1]

    monkeypatch.setattr(cluster, "_parcel", elsewhere)
    for _ in range(2):
        with opened(1, data_folder=str(folder), data_sha256=card["sha256"]) as pool:
            # The fake opens nothing, and the worker finds what it was told of.
            assert scores(run(pool, trials({}))) == expected(1)
    assert [list(one) for one in sent] == [["train_images.npy", "card.json"]]


@pytest.mark.parametrize("what", ["python", "code of keras-study"])
@pytest.mark.usefixtures("opened")
def test_a_machine_that_differs_is_refused(monkeypatch, what):
    """With what differs; here this process is told that it is another."""
    from pipeline.workers import cluster, node

    monkeypatch.setattr(platform, "python_version", lambda: "3.1" if what == "python" else "3.11")
    if what != "python":
        monkeypatch.setattr(node, "package_code", lambda _: "other")
    with pytest.raises(DataError, match=f"must train as this one does, .*\\nReceived: .*{what} [^;]+, here "):
        cluster.check()


def test_a_share_leaves_room_for_more_workers(monkeypatch):
    """A third of a GPU three times is a whole one, and no share spans two."""
    from pipeline.workers import cluster

    monkeypatch.setattr(cluster, "accelerators", lambda: {"0": "a GPU"})
    for share, room in (("1", 4), ("0.5", 8), (str(1 / 3), 12), ("0.6", 4)):
        monkeypatch.setenv("STUDY_GPUS_PER_WORKER", share)
        assert cluster._room({"GPU": 4.0, "CPU": 1.0}, cluster._demand()) == room
    monkeypatch.setenv("STUDY_GPUS_PER_WORKER", "two")
    with pytest.raises(StudyError, match="STUDY_GPUS_PER_WORKER: must be above 0"):
        cluster._demand()
