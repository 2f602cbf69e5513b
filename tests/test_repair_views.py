"""What is wrong in Optuna's storage and in MLflow is made again from the record."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from conftest import TINY, Repro, run_in, write_study
from mending import HEALTHY, child, is_mended, mlflow, parent, record, runs, search_of, storage, told

from pipeline.stages.repair import repair
from pipeline.tracking.mlflow_view import MlflowView

pytestmark = pytest.mark.slow


OPTUNA = "Optuna: search optuna: not as recorded: trial {}."
MLFLOW = "MLflow: search optuna: not as recorded: {}."


def shown(folder: Path) -> list[tuple[int, str, dict, float | None]]:
    """Every trial of the search as Optuna has it."""
    return [(one.number, one.state.name, one.params, one.value) for one in search_of(folder).trials]


def test_trials_that_are_left_running_are_taken_away(ran: Path) -> None:
    """A trial that was asked for and never told stays RUNNING in Optuna for ever."""
    search_of(ran).ask()
    assert is_mended(ran, OPTUNA.format(5))
    assert [trial.state.name for trial in search_of(ran).trials] == ["COMPLETE"] * 5


def test_a_search_that_the_storage_has_lost_is_written_again(ran: Path) -> None:
    """The same trials under the same numbers; the other search is let be."""
    before, name = shown(ran), search_of(ran).study_name
    optuna.delete_study(study_name=name, storage=storage(ran))
    assert is_mended(ran, OPTUNA.format("0, 1, 2, 3, 4"))
    assert shown(ran) == before


def test_a_storage_that_is_gone_is_made_again(ran: Path) -> None:
    """With every arm's search in it."""
    (ran / "mlruns/optuna.db").unlink()
    assert is_mended(ran, OPTUNA.format("0, 1, 2, 3, 4"), "Optuna: search keras_tuner: not as recorded")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trial_values SET value = 0.99 WHERE trial_id = ?",
        "UPDATE trials SET state = 'PRUNED' WHERE trial_id = ?",
        "UPDATE trial_params SET param_value = 0.05 WHERE trial_id = ?",
        "DELETE FROM trials WHERE trial_id = ?",
    ],
    ids=["score", "state", "value", "lost"],
)
def test_a_trial_that_is_not_what_was_recorded_is_written_again(ran: Path, change: str) -> None:
    """Another score, state or value than in the record, or none."""
    before, number = shown(ran), search_of(ran).trials[4]._trial_id
    with closing(sqlite3.connect(ran / "mlruns/optuna.db")) as database, database:
        database.execute(change, (number,))
    assert is_mended(ran, OPTUNA.format(4))
    assert shown(ran) == before


def test_a_trial_that_is_recorded_no_longer_is_taken_away(ran: Path) -> None:
    """The trials after it keep their numbers; in Optuna a failed one holds its place."""
    path, before = record(ran, "search-optuna") / "record.jsonl", shown(ran)
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if b'{"number":2,' not in line]
    path.write_bytes(b"".join(lines))
    assert is_mended(ran, OPTUNA.format(2), MLFLOW.format("trial-002"))
    assert shown(ran) == [*before[:2], (2, "FAIL", {}, None), *before[3:]]


@pytest.mark.parametrize("content", [b"no database\n" * 100, None], ids=["text", "cut short"])
@pytest.mark.parametrize("store", ["optuna", "mlflow"])
def test_a_store_that_is_no_database_is_left_to_a_person(ran: Path, store: str, content: bytes) -> None:
    """It is not thrown away: the message says what to do, and the file stays as it is."""
    path = ran / f"mlruns/{store}.db"
    path.write_bytes(content or path.read_bytes()[:5_000])
    before = path.read_bytes()
    lines = [line for line in told(ran, repair) if line.startswith("tiny: ")]
    assert [f"{store}" in line.lower() and "move it away" in line for line in lines] == [True]
    assert path.read_bytes() == before


def test_runs_that_are_left_open_are_made_anew(ran: Path) -> None:
    """A kill leaves RUNNING, for a trial's run and for its parent."""
    for run in (child(ran, "search optuna", "trial-002"), parent(ran, "search optuna")):
        mlflow(ran).update_run(run.info.run_id, status="RUNNING")
    assert is_mended(ran, MLFLOW.format("search optuna, trial-002"))


def test_runs_that_are_missing_are_delivered(ran: Path) -> None:
    """One trial's, and a whole stage's."""
    mlflow(ran).delete_run(child(ran, "search optuna", "trial-001").info.run_id)
    for run in [*runs(ran)]:
        if run.data.tags.get("study.stage") == "confirm":
            mlflow(ran).delete_run(run.info.run_id)
    assert is_mended(
        ran, MLFLOW.format("trial-001"), "MLflow: confirm: not as recorded: confirm, candidate-1"
    )
    assert child(ran, "confirm", "candidate-1-repeat-1").info.status == "FINISHED"


def test_runs_without_a_recorded_trial_are_taken_away(ran: Path) -> None:
    """MLflow's trash has them, where a person can get them back."""
    run = child(ran, "search optuna", "trial-003")
    tags = {**run.data.tags, "trial.name": "trial-099"}
    made = mlflow(ran).create_run(run.info.experiment_id, tags=tags)
    mlflow(ran).set_terminated(made.info.run_id)
    assert is_mended(ran, MLFLOW.format("trial-099"))
    assert mlflow(ran).get_run(made.info.run_id).info.lifecycle_stage == "deleted"


def test_runs_without_their_parent_are_delivered_below_a_new_one(ran: Path) -> None:
    """Deleting a parent run leaves its children."""
    old = parent(ran, "search optuna").info.run_id
    mlflow(ran).delete_run(old)
    assert is_mended(ran, "MLflow: search optuna: not as recorded: search optuna, trial-000")
    assert parent(ran, "search optuna").info.run_id != old


def test_a_database_that_is_gone_is_made_again(repro: Repro, ran: Path) -> None:
    """With every recorded run, by the command; what was registered there is gone with it."""
    (ran / "mlruns/mlflow.db").unlink()
    done = run_in(ran, "study", "repair", "tiny")
    assert (done.returncode, done.stdout.count("Mended: it is made again from the record")) == (0, 4)
    before, after = ({(run.info.run_name, run.info.status) for run in runs(of)} for of in (repro.folder, ran))
    assert after == before
    assert told(ran) == HEALTHY


def test_mending_that_is_cut_short_is_gone_on_with(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of delivering, the next time finds what is missing and delivers it."""

    def killed(*_: object) -> None:
        raise OSError("killed")

    (ran / "mlruns/mlflow.db").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(MlflowView, "_fill", killed)
        assert any("Not mended" in line for line in told(ran, repair))
    assert is_mended(ran, MLFLOW.format("search optuna, trial-000")[:-1])


def test_an_old_record_keeps_what_its_run_says(ran: Path) -> None:
    """Delivered once more after the study has changed, a run has its own study file and commit still."""
    mlflow(ran).update_run(parent(ran, "baseline").info.run_id, status="RUNNING")
    before = parent(ran, "baseline")
    write_study(ran, "tiny", TINY.replace("seed      = 7", "seed      = 8"))
    assert is_mended(ran, "MLflow: baseline: not as recorded: baseline.")
    after = parent(ran, "baseline")
    assert after.data.tags == {**before.data.tags, "study.ended": "done"}
    [file] = (ran / "mlruns/artifacts/tiny" / after.info.run_id).rglob("study.toml")
    assert "seed      = 7" in file.read_text()


def test_a_server_that_is_away_is_said(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a person's to start; what else is found is mended all the same."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    search_of(ran).ask()
    lines = told(ran, repair)
    assert any("MLflow must answer" in line and "Start its server" in line for line in lines)
    assert any("Optuna" in line and "Mended" in line for line in lines)


def test_a_champion_whose_file_was_changed_is_left_to_a_person(ran: Path) -> None:
    """A model is used only if it is the one that was measured."""
    [version] = mlflow(ran).search_model_versions("name = 'tiny'")
    mlflow(ran).set_registered_model_alias("tiny", "champion", version.version)
    assert told(ran) == HEALTHY
    [file] = (ran / "mlruns/artifacts").rglob("model.keras")
    file.write_bytes(file.read_bytes() + b"\0")
    [line] = [line for line in told(ran, repair) if line.startswith("tiny: ")]
    assert "the file of the champion, version 1, is not the one that was registered" in line
    file.unlink()
    assert "the champion's file cannot be read" in told(ran)[1]
