"""A killed `dvc` leaves nobody behind who goes on writing, and a second one beside it is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import copy_project, environment, run_in
from test_pool import are_alive

STAGE = """
import os, sys, time
from pipeline.stages import lifeline
lifeline.end_with_caller(130)
print(os.getpid(), flush=True)
time.sleep(60)
"""
CALLER = "import subprocess, sys; subprocess.run(sys.argv[1:])"


def gone(pids: list[int], seconds: float = 30) -> bool:
    """Whether the processes end in time."""
    end = time.monotonic() + seconds
    while are_alive(pids) and time.monotonic() < end:
        time.sleep(0.02)
    return not are_alive(pids)


# A shell that has more to do stays between the two; one that has not is replaced by what it starts.
@pytest.mark.parametrize("between", [[], ["sh", "-c", '"$@"; true', "sh"], ["bash", "-c", '"$@"', "bash"]])
def test_a_stage_ends_with_the_program_that_called_it(between: list[str]) -> None:
    """Whether it was called directly or through a shell that is still there."""
    words = [sys.executable, "-c", CALLER, *between, sys.executable, "-c", STAGE]
    own = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(words, env=own, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        stage = int(caller.stdout.readline())
        time.sleep(0.5)
        assert are_alive([stage])
        caller.kill()
    assert gone([stage])


def below(pid: int) -> list[int]:
    """Every process that a process has started, and those that these have started."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    found = [pid]
    for parent in found:
        found += [child for child, of in pairs if of == parent]
    return found[1:]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project whose study is prepared."""
    folder = copy_project(tmp_path_factory.mktemp("callers"))
    done = run_in(folder, "dvc", "repro", "prepare@tiny")
    assert done.returncode == 0, done.stdout
    return folder


@pytest.mark.slow
def test_a_killed_dvc_leaves_no_orphan(project: Path) -> None:
    """Its stage and the workers go; a second one meanwhile was told who runs; a third one simply goes on."""
    with subprocess.Popen(
        ["dvc", "repro", "search@tiny"], cwd=project, env=environment(), stdout=subprocess.DEVNULL
    ) as first:
        while not any(path.read_bytes() for path in project.glob("mlruns/searches/tiny/*/record.jsonl")):
            assert first.poll() is None
            time.sleep(0.05)
        second = run_in(project, "dvc", "repro", "search@tiny")
        started = below(first.pid)
        first.send_signal(signal.SIGKILL)
    assert second.returncode != 0
    assert str(first.pid) in second.stdout
    assert len(started) >= 2
    assert gone(started)
    third = run_in(project, "dvc", "repro", "search@tiny")
    assert third.returncode == 0, third.stdout
    assert "goes on where it was stopped" in third.stdout
