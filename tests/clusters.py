"""A Ray cluster of three nodes, all of them processes of this machine that listen on loopback alone."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

LOOPBACK = {"num_cpus": 2, "node_ip_address": "127.0.0.1"}
TOKEN = "5eed" * 16
# Stands in the environment of all that the nodes start, and of nothing else.
MARK = f"STUDY_TEST_NODES={os.getpid()}"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The cluster; this process and its children are given its token and its address."""
    cluster = pytest.importorskip("pipeline.workers.cluster")
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ |= {"RAY_AUTH_TOKEN": TOKEN, **dict([MARK.split("=")])}
    # Where they keep what they are sent; Ray's own sockets need a short path.
    os.environ["RAY_TMPDIR"] = tempfile.gettempdir()
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("nodes"))
    head = {**LOOPBACK, "include_dashboard": False, "include_log_monitor": False}
    nodes = Cluster(initialize_head=True, head_node_args=head)
    try:
        for _ in range(2):
            nodes.add_node(**LOOPBACK)
        os.environ["STUDY_CLUSTER"] = nodes.address
        del os.environ[MARK.split("=")[0]]
        yield nodes
    finally:
        cluster.ray.shutdown()
        cluster.connect.cache_clear()
        cluster._stored.cache_clear()
        nodes.shutdown()
        os.environ.clear()
        os.environ.update(before)


def training() -> list[str]:
    """The worker processes that the nodes hold now."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_ours = MARK.encode() in (process / "environ").read_bytes().split(b"\0")
            if is_ours and b"pipeline.workers.worker" in (process / "cmdline").read_bytes():
                found.append(process.name)
    return found


def wait_for(is_so: Callable[[], object], seconds: float = 60) -> bool:
    """Whether it becomes so in time."""
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.1)
    return bool(is_so())
