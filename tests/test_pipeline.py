"""The whole pipeline with real DVC, real MLflow and a real Optuna storage, on a tiny study."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from conftest import Repro, copy_of, copy_project, run_in, write_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(repro: Repro, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which `dvc repro` has run once."""
    return copy_of(repro.folder, tmp_path_factory.mktemp("first") / "project")


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / "studies/tiny" / name).open() as file:
        return list(csv.DictReader(file))


def children(folder: Path, stage: str) -> list:
    """The child runs of a stage, best val_accuracy first, as MLflow's own client reads them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'tiny'")
    found = client.search_runs([experiment.experiment_id], order_by=["metrics.val_accuracy DESC"])
    parents = {run.info.run_id for run in found if run.info.run_name.startswith(stage)}
    return [run for run in found if run.data.tags.get("mlflow.parentRunId") in parents]


def test_two_clones_give_the_same_lock(finished: Path, tmp_path: Path) -> None:
    """The same study in two fresh clones gives the same dvc.lock, hence the same bytes everywhere."""
    second = copy_project(tmp_path / "second")
    done = run_in(second, "dvc", "repro")
    assert done.returncode == 0, done.stdout
    assert (second / "dvc.lock").read_text() == (finished / "dvc.lock").read_text()


def stages_run(printed: str) -> list[str]:
    """The stages that `dvc repro` says it runs, or `dvc status` that it would; `check` always runs."""
    found = re.findall(r"(?:^Running stage '|^)(\w+@tiny)'?:$", printed, re.MULTILINE)
    return [stage for stage in found if stage != "check@tiny"]


def test_a_second_repro_does_nothing(finished: Path) -> None:
    """Nothing changed, nothing runs but the check that says so."""
    done = run_in(finished, "dvc", "repro")
    assert (done.returncode, stages_run(done.stdout)) == (0, [])
    assert "Running stage 'check@tiny'" in done.stdout


def test_code_that_trains_reruns_what_it_decides_and_its_docstrings_nothing(
    finished: Path, tmp_path: Path
) -> None:
    """DVC goes by the values that a record's key is made of: code without its comments and docstrings."""
    folder = copy_of(finished, tmp_path / "project")
    path, stages = folder / "pipeline/seeds.py", ("prepare", "baseline", "search", "confirm", "report")
    text = path.read_text()
    for changed, due in {
        f"# A remark.\n{text.replace('A seed in', 'One seed in')}": [],
        text.replace("**31 - 1", "**30 - 1"): [f"{stage}@tiny" for stage in stages],
    }.items():
        assert changed != text
        path.write_text(changed)
        # The copy's own package, not the one that is installed.
        assert run_in(folder, "env", f"PYTHONPATH={folder}", "dvc", "repro", "check@tiny").returncode == 0
        assert sorted(stages_run(run_in(folder, "dvc", "status").stdout)) == sorted(due)


def test_a_comment_reruns_nothing_a_question_the_report_alone(finished: Path) -> None:
    """Stages depend on tables of the study file, not on its bytes."""
    path = finished / "studies/tiny/study.toml"
    text = path.read_text()
    try:
        path.write_text(f"# A comment.\n{text}")
        assert stages_run(run_in(finished, "dvc", "status").stdout) == []
        path.write_text(text.replace("Which engine", "Which of two engines"))
        run_in(finished, "dvc", "repro", "check@tiny")
        status = run_in(finished, "dvc", "status").stdout
        assert "report@tiny" in status
        assert "search@tiny" not in status
    finally:
        path.write_text(text)
        run_in(finished, "dvc", "repro", "check@tiny")


def test_every_trial_is_one_run(finished: Path) -> None:
    """MLflow holds each trial once, with its state, its values and its whole curve."""
    trials = rows(finished, "trials.csv")
    runs = {
        (run.data.tags["study.arm"], run.data.tags["trial.number"]): run
        for run in children(finished, "search")
    }
    assert len(runs) == len(children(finished, "search")) == len(trials)
    states = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
    for trial in trials:
        run = runs[trial["arm"], trial["number"]]
        assert run.info.status == states[trial["state"]]
        assert run.data.metrics["val_accuracy"] == float(trial["val_accuracy"])
        assert float(run.data.params["learning_rate"]) == float(trial["learning_rate"])


def test_sorting_by_val_accuracy_shows_the_best_trial(finished: Path) -> None:
    """The first run of the search by val_accuracy is the best trial."""
    best = max(float(trial["val_accuracy"]) for trial in rows(finished, "trials.csv"))
    assert children(finished, "search")[0].data.metrics["val_accuracy"] == best


def test_no_confirm_run_outshines_a_trial(finished: Path) -> None:
    """Retrained runs carry their own metric names, so the experiment's best val_accuracy is a trial's."""
    runs = children(finished, "confirm")
    assert runs
    assert all("val_accuracy" not in run.data.metrics for run in runs)
    assert all("confirmed_val_accuracy" in run.data.metrics for run in runs)


def test_optuna_opens_the_storage(finished: Path) -> None:
    """`optuna studies` and `optuna best-trial` read the search's storage."""
    url = f"sqlite:///{finished}/mlruns/optuna.db"
    listed = json.loads(
        run_in(finished, "optuna", "studies", "--storage", url, "-f", "json", "--quiet").stdout
    )
    [name] = [study["name"] for study in listed if study["name"].startswith("tiny-optuna-")]
    shown = run_in(finished, "optuna", "best-trial", "--storage", url, "--study-name", name, "-f", "json")
    trials = [trial for trial in rows(finished, "trials.csv") if trial["arm"] == "optuna"]
    complete = [trial for trial in trials if trial["state"] == "complete"]
    best = max(complete, key=lambda trial: float(trial["score"]))
    assert f'"number": {best["number"]}' in shown.stdout


def test_the_metrics_file_has_the_promised_keys(finished: Path) -> None:
    """metrics.json holds both test accuracies with intervals, and the winner's configuration."""
    metrics = json.loads((finished / "studies/tiny/metrics.json").read_text())
    for who in ("baseline", "winner"):
        interval = metrics[who]["test_accuracy"]
        assert interval["low"] <= interval["mean"] <= interval["high"]
    assert metrics["winner"]["configuration"]["model"] == "mlp"
    shown = run_in(finished, "dvc", "metrics", "show").stdout
    assert "winner.test_accuracy.mean" in shown


def test_the_winner_is_a_registered_model(finished: Path) -> None:
    """The winner stands in the registry under the study's name, tagged with what it was measured by."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{finished}/mlruns/mlflow.db")
    [version] = client.search_model_versions("name = 'tiny'")
    conclusion = json.loads((finished / "studies/tiny/winner/conclusion.json").read_text())
    assert json.loads(version.tags["test_accuracies"]) == conclusion["winner"]["test_accuracies"]
    aliases = client.get_registered_model("tiny").aliases
    assert (aliases == {"champion": version.version}) == conclusion["champion"]["granted"]


def test_a_finished_search_is_not_trained_again(finished: Path) -> None:
    """With everything recorded the stage says so, trains nothing and writes the same bytes."""
    before = (finished / "studies/tiny/trials.csv").read_bytes()
    done = run_in(finished, "study", "search", "tiny")
    assert "nothing is trained again" in done.stdout
    assert (finished / "studies/tiny/trials.csv").read_bytes() == before


def test_more_trials_extend_and_another_space_starts_anew(finished: Path) -> None:
    """The program says which of the two it does, and why."""
    text = (finished / "studies/tiny/study.toml").read_text()
    for name, edited in {
        "tiny": text.replace("trials   = 5", "trials   = 6"),
        "other": text.replace("[16, 64], step", "[16, 48], step"),
    }.items():
        write_study(finished, "tiny", edited)
        said = run_in(finished, "study", "search", "tiny").stdout
        write_study(finished, "tiny", text)
        wanted = (
            "extends the finished search of 5 trials to 6" if name == "tiny" else "changed since the last"
        )
        assert wanted in said
        assert name == "tiny" or "study.space" in said
    assert run_in(finished, "study", "search", "tiny").returncode == 0
