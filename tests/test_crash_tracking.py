"""MLflow is a view: what it missed is delivered by the next stage, and no report is final before."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import Repro, run_in
from mlflow import MlflowClient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
]

AWAY = "http://127.0.0.1:9"


@pytest.fixture
def owing(repro: Repro, tmp_path: Path) -> Path:
    """A finished study, as if MLflow had been away while one arm was searched."""
    folder = shutil.copytree(repro.folder, tmp_path / "owing", symlinks=True)
    [search] = (folder / "mlruns/searches/tiny").glob("search-optuna-*")
    (search / "delivered-mlflow").unlink()
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    for run in runs(folder):
        client.delete_run(run.info.run_id)
    return folder


def runs(folder: Path) -> list:
    """The runs of the arm's trials that MLflow shows."""
    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'tiny'")
    found = client.search_runs([experiment.experiment_id], "tags.`study.arm` = 'optuna'")
    return [run for run in found if "mlflow.parentRunId" in run.data.tags]


def test_a_stage_that_ends_well_owes_nothing(repro: Repro) -> None:
    """Beside each record lies the sign that MLflow has all of it, and beside a search's that Optuna has."""
    for view, count in (("mlflow", 4), ("optuna", 2)):
        assert len([*repro.folder.glob(f"mlruns/searches/tiny/*/delivered-{view}")]) == count


@pytest.mark.parametrize("stage", ["baseline", "report"])
def test_the_next_stage_delivers_what_was_missed(owing: Path, stage: str) -> None:
    """Any stage that comes after the outage brings MLflow up to date."""
    assert runs(owing) == []
    done = run_in(owing, "study", stage, "tiny")
    assert done.returncode == 0, done.stdout
    found = {run.data.tags["trial.number"]: run.info.status for run in runs(owing)}
    assert sorted(found) == [*"01234"]
    assert set(found.values()) <= {"FINISHED", "KILLED"}


def test_the_report_is_not_final_before(owing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While runs are missing and MLflow is away it is refused, nothing is written; later it is the same."""
    report = owing / "studies/tiny/report.md"
    before = report.read_bytes()
    report.unlink()
    monkeypatch.setattr("conftest.FOREIGN", ())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", AWAY)
    refused = run_in(owing, "study", "report", "tiny")
    assert refused.returncode == 2
    assert "MLflow must have every run before the report is final.\nReceived: runs are" in refused.stdout
    assert not report.exists()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert run_in(owing, "study", "report", "tiny").returncode == 0
    assert report.read_bytes() == before
