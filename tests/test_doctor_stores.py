"""What the doctor finds in Optuna's storage and in MLflow it delivers anew from the record."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from clinic import HEALTHY, child, is_cured, mlflow, parent, record, runs, search_of, storage, visit
from conftest import TINY, Repro, run_in, write_study

from pipeline import tracking
from pipeline.stages.doctor import runs as room

pytestmark = pytest.mark.slow


def test_trials_that_are_left_running_are_ended(ran: Path) -> None:
    """A trial that was asked for and never told stays RUNNING in Optuna for ever."""
    search_of(ran).ask()
    assert is_cured(ran, "search optuna: 1 trial of a dead process RUNNING: 5.")
    assert [trial.state.name for trial in search_of(ran).trials] == ["COMPLETE"] * 5 + ["FAIL"]


def test_a_search_that_the_storage_has_lost_is_written_again(ran: Path) -> None:
    """The same trials under the same numbers; the other search is let be."""
    before, name = search_of(ran).trials, search_of(ran).study_name
    optuna.delete_study(study_name=name, storage=storage(ran))
    assert is_cured(ran, "search optuna: the storage does not know this search")
    after = search_of(ran).trials
    assert [(t.number, t.params, t.value) for t in after] == [(t.number, t.params, t.value) for t in before]


def test_a_storage_that_is_gone_is_made_again(ran: Path) -> None:
    """With every arm's search in it."""
    (ran / "mlruns/optuna.db").unlink()
    assert is_cured(ran, "search optuna: the storage does not", "search keras_tuner: the storage does not")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE trial_values SET value = 0.99 WHERE trial_id = ?",
        "UPDATE trials SET state = 'PRUNED' WHERE trial_id = ?",
        "UPDATE trial_params SET param_value = 0.05 WHERE trial_id = ?",
    ],
    ids=["score", "state", "value"],
)
def test_a_trial_that_is_not_what_was_recorded_is_written_again(ran: Path, change: str) -> None:
    """Another score, state or value than in the record."""
    number = search_of(ran).trials[2]._trial_id
    with closing(sqlite3.connect(ran / "mlruns/optuna.db")) as database, database:
        database.execute(change, (number,))
    assert is_cured(ran, "search optuna: 1 trial not what was recorded: 2.")


def test_a_trial_that_is_recorded_no_longer_is_taken_away(ran: Path) -> None:
    """The trials after it keep their numbers; in Optuna a failed one holds its place."""
    path, before = record(ran, "search-optuna") / "record.jsonl", search_of(ran).trials
    lines = [line for line in path.read_bytes().splitlines(keepends=True) if b'{"number":2,' not in line]
    path.write_bytes(b"".join(lines))
    assert is_cured(ran, "1 trial not what was recorded: 2.", "1 run without a recorded trial: trial-002.")
    after = search_of(ran).trials
    assert [trial.state.name for trial in after] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE", "COMPLETE"]
    assert [trial.value for trial in after[3:]] == [trial.value for trial in before[3:]]


def test_a_trial_that_the_storage_has_lost_is_written_again(ran: Path) -> None:
    """The last one, as when the storage was away."""
    number = search_of(ran).trials[4]._trial_id
    with closing(sqlite3.connect(ran / "mlruns/optuna.db")) as database, database:
        database.execute("DELETE FROM trials WHERE trial_id = ?", (number,))
    assert is_cured(ran, "search optuna: 1 recorded trial missing there: 4.")


@pytest.mark.parametrize("content", [b"no database\n" * 100, None], ids=["text", "cut short"])
@pytest.mark.parametrize("store", ["optuna", "mlflow"])
def test_a_store_that_is_no_database_is_left_to_a_person(ran: Path, store: str, content: bytes) -> None:
    """It is not thrown away: the message says what to do, and the file stays as it is."""
    path = ran / f"mlruns/{store}.db"
    path.write_bytes(content or path.read_bytes()[:5_000])
    before = path.read_bytes()
    lines = [line for line in visit(ran, fix=True) if line.startswith("tiny: ")]
    assert [line.lower().startswith(f"tiny: {store}: ") and "ove" in line for line in lines] == [True]
    assert path.read_bytes() == before


def test_runs_that_are_left_open_are_ended(ran: Path) -> None:
    """A kill leaves RUNNING, for a trial's run and for its parent."""
    for run in (child(ran, "search optuna", "trial-002"), parent(ran, "search optuna")):
        mlflow(ran).update_run(run.info.run_id, status="RUNNING")
    assert is_cured(ran, "the parent run is RUNNING", "1 run of a dead process left open: trial-002.")


def test_runs_that_are_missing_are_delivered(ran: Path) -> None:
    """One trial's, and a whole stage's."""
    mlflow(ran).delete_run(child(ran, "search optuna", "trial-001").info.run_id)
    for run in [*runs(ran)]:
        if run.data.tags.get("study.stage") == "confirm":
            mlflow(ran).delete_run(run.info.run_id)
    assert is_cured(ran, "1 recorded trial without a run: trial-001.", "confirm: the parent run is missing")
    assert child(ran, "confirm", "candidate-1-repeat-1").info.status == "FINISHED"


def test_doubled_runs_become_one(ran: Path) -> None:
    """Of two runs of one trial the right one stays, though it came second; so does one of two parents."""
    client, right = mlflow(ran), child(ran, "search optuna", "trial-003")
    for run in (right, parent(ran, "baseline")):
        tags = {name: value for name, value in run.data.tags.items() if name != "mlflow.runName"}
        made = client.create_run(
            run.info.experiment_id, run.info.start_time - 1, tags, run_name=run.info.run_name
        )
        client.set_terminated(made.info.run_id)
    assert is_cured(ran, "doubled runs: trial-003.", "baseline: the parent run is there 2 times.")
    assert child(ran, "search optuna", "trial-003").info.run_id == right.info.run_id


def test_runs_without_a_recorded_trial_are_taken_away(ran: Path) -> None:
    """MLflow's trash has them, where a person can get them back."""
    run = child(ran, "search optuna", "trial-003")
    tags = {**run.data.tags, "trial.name": "trial-099"}
    made = mlflow(ran).create_run(run.info.experiment_id, tags=tags)
    mlflow(ran).set_terminated(made.info.run_id)
    assert is_cured(ran, "1 run without a recorded trial: trial-099.")
    assert mlflow(ran).get_run(made.info.run_id).info.lifecycle_stage == "deleted"


def test_runs_without_their_parent_are_delivered_below_a_new_one(ran: Path) -> None:
    """Deleting a parent run leaves its children."""
    old = parent(ran, "search optuna").info.run_id
    mlflow(ran).delete_run(old)
    assert is_cured(ran, "search optuna: the parent run is missing", "5 runs without their parent run")
    assert parent(ran, "search optuna").info.run_id != old


@pytest.mark.parametrize("harm", ["state", "metric", "status"])
def test_a_run_that_is_not_what_was_recorded_is_delivered_anew(ran: Path, harm: str) -> None:
    """Another state, number or status than in the record."""
    client, run = mlflow(ran), child(ran, "search optuna", "trial-000").info.run_id
    {
        "state": lambda: client.set_tag(run, "trial.state", "pruned"),
        "metric": lambda: client.log_metric(run, "val_accuracy", 0.999, step=99),
        "status": lambda: client.set_terminated(run, "FAILED"),
    }[harm]()
    assert is_cured(ran, "1 run not what was recorded: trial-000.")
    assert child(ran, "search optuna", "trial-000").data.metrics["val_accuracy"] != 0.999


def test_a_database_that_is_gone_is_made_again(repro: Repro, ran: Path) -> None:
    """With every recorded run, by the command; what was registered there is gone with it."""
    (ran / "mlruns/mlflow.db").unlink()
    done = run_in(ran, "study", "doctor", "tiny", "--fix")
    assert (done.returncode, done.stdout.count("Mended: delivered from the record")) == (0, 4)
    before, after = ({(run.info.run_name, run.info.status) for run in runs(of)} for of in (repro.folder, ran))
    assert after == before
    assert visit(ran) == HEALTHY


def test_mending_that_is_cut_short_is_gone_on_with(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between taking away and delivering, the next visit finds what is missing and delivers it."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    mlflow(ran).set_tag(child(ran, "search optuna", "trial-000").info.run_id, "trial.state", "pruned")
    with monkeypatch.context() as patched:
        patched.setattr(room, "deliver", killed)
        with pytest.raises(KeyboardInterrupt):
            visit(ran, fix=True)
    assert is_cured(ran, "1 recorded trial without a run: trial-000.")


def test_an_old_record_keeps_what_its_run_says(ran: Path) -> None:
    """Delivered once more after the study has changed, a run has its own study file and commit still."""
    mlflow(ran).update_run(parent(ran, "baseline").info.run_id, status="RUNNING")
    before = parent(ran, "baseline")
    write_study(ran, "tiny", TINY.replace("seed      = 7", "seed      = 8"))
    assert is_cured(ran, "baseline: the parent run is RUNNING")
    after = parent(ran, "baseline")
    assert after.data.tags == {**before.data.tags, "study.ended": "done"}
    [file] = (ran / "mlruns/artifacts/tiny" / after.info.run_id).rglob("study.toml")
    assert "seed      = 7" in file.read_text()


def test_a_server_that_is_away_is_said(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a person's to start; what else is found is mended all the same."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    search_of(ran).ask()
    lines = visit(ran, fix=True)
    assert any("MLflow must answer" in line and "Start the tracking server" in line for line in lines)
    assert any("RUNNING" in line and "Mended" in line for line in lines)


def test_a_champion_whose_file_was_changed_is_left_to_a_person(ran: Path) -> None:
    """A model is used only if it is the one that was measured."""
    [version] = mlflow(ran).search_model_versions("name = 'tiny'")
    mlflow(ran).set_registered_model_alias("tiny", "champion", version.version)
    assert visit(ran) == HEALTHY
    [file] = (ran / "mlruns/artifacts").rglob("model.keras")
    file.write_bytes(file.read_bytes() + b"\0")
    [line] = [line for line in visit(ran, fix=True) if line.startswith("tiny: ")]
    assert "the file of the champion, version 1, is not the one that was registered" in line
    file.unlink()
    assert "the champion's file cannot be read" in visit(ran)[1]


def test_runs_of_a_removed_record_stay_but_none_is_left_open(ran: Path) -> None:
    """Without its record a stage's runs are history; one that still claims to run is closed."""
    run = parent(ran, "search optuna").info.run_id
    search_of(ran).ask()
    tracking.close(f"sqlite:///{ran}/mlruns/mlflow.db", [run])
    mlflow(ran).update_run(run, status="RUNNING")
    for path in (ran / "mlruns/searches/tiny").glob("search-optuna-*/*"):
        path.unlink()
    assert is_cured(ran, "1 run of a dead process left open, whose record is gone", "RUNNING: 5.")
    assert len([run for run in runs(ran) if run.data.tags.get("study.arm") == "optuna"]) == 6
    assert run_in(ran, "study", "doctor").returncode == 0
