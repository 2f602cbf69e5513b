"""A search that is stopped goes on as if nothing had happened."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ONE_ARM, environment, run_in, searching, write_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What an undisturbed search writes."""
    folder = tmp_path_factory.mktemp("unbroken")
    start(folder)
    assert run_in(folder, "study", "search", "tiny").returncode == 0
    return (folder / "studies/tiny/trials.csv").read_bytes()


def start(folder: Path) -> None:
    write_study(folder, "tiny", ONE_ARM)
    assert run_in(folder, "study", "prepare", "tiny").returncode == 0


def runs(folder: Path) -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    return client.search_runs([e.experiment_id for e in client.search_experiments()])


def test_the_number_of_workers_changes_nothing(unbroken: bytes, tmp_path: Path) -> None:
    """One core, two cores: the same trials to the last bit."""
    start(tmp_path)
    words = ["study", "search", "tiny"]
    subprocess.run(
        words, cwd=tmp_path, env={**environment(), "STUDY_WORKERS": "1"}, check=True, capture_output=True
    )
    assert (tmp_path / "studies/tiny/trials.csv").read_bytes() == unbroken


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    """A second search of the same study names the process that holds it, and touches nothing."""
    start(tmp_path)
    first = searching(tmp_path)
    try:
        second = run_in(tmp_path, "study", "search", "tiny")
        assert second.returncode == 2
        assert f"it is held by process {first.pid}" in second.stdout
    finally:
        first.kill()
        first.communicate()


def test_no_worker_outlives_its_coordinator(tmp_path: Path) -> None:
    """When the coordinator is killed outright, its training processes go too."""
    start(tmp_path)
    process = searching(tmp_path)
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True)
    workers = [int(pid) for pid in listed.stdout.split()]
    process.kill()
    process.communicate()
    assert workers
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in workers):
            break
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_a_tracking_server_that_is_away_stops_nothing(unbroken: bytes, tmp_path: Path) -> None:
    """Without its MLflow server a search trains on and says what is owed; `study repair` delivers it."""
    start(tmp_path)
    away = {**environment(), "MLFLOW_TRACKING_URI": "http://me:s3cret@127.0.0.1:9"}
    done = subprocess.run(["study", "search", "tiny"], cwd=tmp_path, env=away, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr.count("MLflow cannot be written") == 1
    assert "s3cret" not in done.stderr
    assert not any(b"s3cret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert (tmp_path / "studies/tiny/trials.csv").read_bytes() == unbroken
    assert "Mended: it is made again" in run_in(tmp_path, "study", "repair", "tiny").stdout
    assert len(runs(tmp_path)) == 9


def test_test_images_are_not_opened_before_confirm(unbroken: bytes, tmp_path: Path) -> None:
    """Baseline and search run, with the same result, where the test split is not there at all."""
    start(tmp_path)
    for name in ("test_images.npy", "test_labels.npy"):
        (tmp_path / "data/tiny" / name).unlink()
    assert run_in(tmp_path, "study", "baseline", "tiny").returncode == 0
    assert run_in(tmp_path, "study", "search", "tiny").returncode == 0
    assert (tmp_path / "studies/tiny/trials.csv").read_bytes() == unbroken
    assert json.loads((tmp_path / "data/tiny/card.json").read_text())["num_images"]["test"]
