"""A study on a cluster of three nodes: the bytes of one machine, whatever dies; nothing is left behind."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from clusters import LOOPBACK, TOKEN, three, training, wait_for
from conftest import ONE_ARM, environment, num_recorded, write_study

__all__ = ["three"]
pytestmark = pytest.mark.cluster
# So many that a search is still under way when its first trial is on record.
STUDY = ONE_ARM.replace("trials   = 8", "trials   = 24").replace("parallel = 2", "parallel = 4")


def study(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the tiny study."""
    command = ["study", words[0], "tiny", *words[1:]]
    env = {**environment(), **variables}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data are prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    write_study(folder, "tiny", STUDY)
    assert study(folder, "prepare").returncode == 0
    return folder


@pytest.fixture(scope="module")
def alone(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this machine makes of the study without a cluster."""
    folder = tmp_path_factory.mktemp("alone") / "project"
    shutil.copytree(prepared, folder)
    for stage in ("baseline", "search", "confirm"):
        done = study(folder, stage)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared project."""
    shutil.copytree(prepared, tmp_path / "project")
    return tmp_path / "project"


def result(folder: Path, name: str = "trials.csv") -> bytes:
    return (folder / "studies/tiny" / name).read_bytes()


def searching(folder: Path, address: str) -> subprocess.Popen[bytes]:
    """A search on four workers in the background, as soon as it has recorded a trial."""
    command = ["study", "search", "tiny", "--cluster", address]
    env = {**environment(), "STUDY_WORKERS": "4"}
    process = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE)
    assert wait_for(lambda: num_recorded(folder) or process.poll() is not None, 120)
    assert process.poll() is None, process.communicate()[1].decode()
    return process


def test_a_cluster_gives_the_bytes_of_one_machine(alone: Path, project: Path, three) -> None:
    """Every stage on two workers, the address in the environment or on the command line; no word is kept."""
    for stage in ("baseline", "search"):
        done = study(project, stage, STUDY_CLUSTER=three.address, STUDY_WORKERS="2")
        assert done.returncode == 0, done.stderr
    assert study(project, "confirm", "--cluster", three.address, STUDY_WORKERS="2").returncode == 0
    for name in ("baseline.csv", "trials.csv", "confirm.csv"):
        assert result(project, name) == result(alone, name)
    assert training() == []
    assert TOKEN not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert not [path for path in project.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_cluster_of_its_own_ends_with_the_search(alone: Path, project: Path) -> None:
    """One worker on a cluster that is started for it: the same bytes."""
    done = study(project, "search", "--cluster", "local", STUDY_WORKERS="1")
    assert (done.returncode, result(project)) == (0, result(alone)), done.stderr


def test_a_coordinator_that_is_killed_leaves_nobody_and_is_gone_on_from(
    alone: Path, project: Path, three
) -> None:
    """Its workers end with it; the next start trains what is not recorded."""
    process = searching(project, three.address)
    assert training()
    process.kill()
    process.communicate()
    assert wait_for(lambda: not training())
    assert study(project, "search", "--cluster", three.address).returncode == 0
    assert result(project) == result(alone)


WRONG = {
    "no address": ({"STUDY_CLUSTER": "nonsense"}, "Invalid address format: nonsense."),
    "a client's address": ({"STUDY_CLUSTER": "ray://127.0.0.1:10001"}, "Invalid address format: ray:"),
    "nobody there": ({"STUDY_CLUSTER": "127.0.0.1:9"}, "Connection refused"),
    "another token": ({"RAY_AUTH_TOKEN": "0bad" * 16}, "oken"),
    "no token": ({"RAY_AUTH_TOKEN": "", "RAY_AUTH_TOKEN_PATH": "/none"}, "token must be there"),
    "without tokens": ({"RAY_AUTH_MODE": "disabled"}, "RAY_AUTH_MODE: must be token"),
    "too many workers": ({"STUDY_WORKERS": "99"}, "must have CPUs for 99 workers.\nReceived: room for 6."),
    "no share": ({"STUDY_GPUS_PER_WORKER": "0"}, "STUDY_GPUS_PER_WORKER: must be above 0 and at most 1."),
    "more than one": ({"STUDY_GPUS_PER_WORKER": "1.5"}, "must be above 0 and at most 1."),
    "no GPU": (
        {"STUDY_GPUS_PER_WORKER": "0.5", "CUDA_VISIBLE_DEVICES": "-1"},
        "there must be a GPU to share",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_is_said_once(project: Path, three, wrong: str) -> None:
    """In one message, before anything is written."""
    variables, words = WRONG[wrong]
    before = sorted(project.rglob("*"))
    done = study(project, "search", **{"STUDY_CLUSTER": three.address, **variables})
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert variables.get("RAY_AUTH_TOKEN", TOKEN) not in done.stderr or wrong == "no token"
    assert sorted(project.rglob("*")) == before


def test_nodes_leave_and_join_in_the_middle(alone: Path, project: Path, three) -> None:
    """What a lost node had is trained again elsewhere, with the same bytes."""
    # The last test of this cluster: what is killed with its node may hold its room for a while.
    process = searching(project, three.address)
    three.remove_node(next(iter(three.worker_nodes)), allow_graceful=False)
    three.add_node(**LOOPBACK)
    _, said = process.communicate(timeout=200)
    assert (process.returncode, result(project)) == (0, result(alone)), said.decode()
