"""What MLflow shows of a stage, read back through its own client from a SQLite store."""

import shutil
from contextlib import suppress
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from pipeline.tracking import StageFacts, Tracker, local_uri
from pipeline.tracking.store import connect
from pipeline.trial import Outcome, Trial

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")

FACTS = StageFacts(
    study="toy",
    stage="search",
    key="0123abcd",
    study_text='question = "Is it?"\n',
    data_card={"name": "digits", "sha256": "ab" * 32},
    settings={"trials": "40"},
    environment={"git.commit": "c0ffee", "git.dirty": "false"},
)


def outcome(number, state="complete", accuracies=(0.7, 0.8, 0.9), reason=""):
    """An outcome of a second an epoch."""
    configuration = {"learning_rate": 0.01, "hidden_units": 64, "activation": "relu", "epochs": 5}
    trial = Trial(number, {"learning_rate": 0.01}, configuration, 5, ("trial", number))
    curve = tuple({"loss": 1 - value, "val_accuracy": value} for value in accuracies)
    score = None if state == "failed" else accuracies[-1]
    return Outcome(trial, state, curve, score, reason, seconds=float(len(accuracies)))


@pytest.fixture(scope="session")
def blank(tmp_path_factory):
    """An empty store; making the schema takes seconds, copying it none."""
    folder = tmp_path_factory.mktemp("blank")
    connect(local_uri(folder))
    return folder / "mlflow.db"


@pytest.fixture
def mlruns(tmp_path, blank):
    shutil.copy(blank, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def client(mlruns):
    return MlflowClient(local_uri(mlruns))


def tracker(mlruns, facts=FACTS, **settings):
    return Tracker(local_uri(mlruns), mlruns / "artifacts", facts, say=pytest.fail, **settings)


def runs(client, *, by="attributes.start_time"):
    """Every run of the study: the parents, and the children by name."""
    study = client.get_experiment_by_name("toy")
    found = client.search_runs([study.experiment_id], order_by=[by])
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    return parents, {run.info.run_name: run for run in found if run not in parents}


def curve(client, run, metric="val_accuracy"):
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]


def test_every_trial_is_a_child_of_its_stage(mlruns, client):
    """A stage is one parent run, and each of its trials a run under it."""
    with tracker(mlruns) as window:
        window.record(outcome(0))
        window.record(outcome(1))
    [parent], children = runs(client)
    assert set(children) == {"trial-000", "trial-001"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}
    assert window.undelivered == 0


@pytest.mark.parametrize(
    ("state", "status"), [("complete", "FINISHED"), ("pruned", "KILLED"), ("failed", "FAILED")]
)
def test_a_run_ends_as_its_trial_did(mlruns, client, state, status):
    """Complete, pruned and failed trials differ by status; the state and the reason are tags."""
    with tracker(mlruns) as window:
        window.record(outcome(0, state, reason="at epoch 3"))
    run = runs(client)[1]["trial-000"]
    assert run.info.status == status
    assert (run.data.tags["trial.state"], run.data.tags["trial.reason"]) == (state, "at epoch 3")


def test_a_run_holds_the_whole_curve(mlruns, client):
    """Each metric is there for every epoch, with the epoch as its step, beside the score and the seconds."""
    with tracker(mlruns) as window:
        window.record(outcome(0))
    run = runs(client)[1]["trial-000"]
    assert curve(client, run) == [(1, 0.7), (2, 0.8), (3, 0.9)]
    assert (run.data.metrics["score"], run.data.metrics["seconds"]) == (0.9, 3.0)


def test_a_curve_longer_than_a_batch_is_whole(mlruns, client):
    """A curve of more values than MLflow takes at once is delivered in parts."""
    with tracker(mlruns) as window:
        window.record(outcome(0, accuracies=[epoch / 1000 for epoch in range(1, 701)]))
    run = runs(client)[1]["trial-000"]
    assert len(curve(client, run)) == len(curve(client, run, "loss")) == 700


def test_a_run_says_what_was_trained_on_what(mlruns, client):
    """Configuration, seeds, data and code can be read from the run alone."""
    with tracker(mlruns) as window:
        window.record(outcome(7))
    run = runs(client)[1]["trial-007"]
    params = {"learning_rate": "0.01", "hidden_units": "64", "activation": "relu", "epochs": "5"}
    assert run.data.params == params
    tags = run.data.tags
    assert (tags["trial.number"], tags["trial.chance"]) == ("7", '["trial", 7]')
    assert (tags["study.data_sha256"], tags["mlflow.source.git.commit"]) == ("ab" * 32, "c0ffee")
    [data] = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("digits", "ab" * 18)


def test_a_run_lasts_as_long_as_its_training(mlruns, client):
    """The duration that the UI shows is what the trial's epochs took."""
    with tracker(mlruns) as window:
        window.record(outcome(0))
    info = runs(client)[1]["trial-000"].info
    assert info.end_time - info.start_time == 3000


def test_the_parent_run_says_what_the_stage_was(mlruns, client):
    """Study file, data card, settings, environment and summary are with the stage's own run."""
    with tracker(mlruns) as window:
        window.finish_metrics({"best_val_accuracy": 0.9})
    [parent], _ = runs(client)
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files == {"study.toml", "card.json"}
    assert parent.data.params == {"trials": "40"}
    assert parent.data.metrics == {"best_val_accuracy": 0.9}
    assert parent.data.tags["git.dirty"] == "false"
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "search")


def test_the_best_trial_is_on_top_by_val_accuracy(mlruns, client):
    """Neither a confirm run nor a trial that diverged after a good epoch comes before the best trial."""
    with tracker(mlruns) as window:
        window.record(outcome(0, accuracies=(0.7, 0.90)))
        window.record(outcome(1, accuracies=(0.7, 0.95)))
        window.record(outcome(2, "failed", accuracies=(0.99,), reason="loss is not finite"))
    with tracker(mlruns, replace(FACTS, stage="confirm"), metric_prefix="confirmed_") as window:
        window.record(outcome(1, accuracies=(0.7, 0.97)), "confirm-1-repeat-0")
    _, children = runs(client, by="metrics.val_accuracy DESC")
    assert next(iter(children)) == "trial-001"
    assert children["confirm-1-repeat-0"].data.metrics["confirmed_val_accuracy"] == 0.97


def test_recording_again_changes_nothing(mlruns, client):
    """A resumed stage may record everything again: the same runs, the same points, the same parent."""
    for _ in range(2):
        with tracker(mlruns) as window:
            window.record(outcome(0))
            window.record(outcome(0), "baseline-repeat-2")
    [parent], children = runs(client)
    assert set(children) == {"trial-000", "baseline-repeat-2"}
    assert curve(client, children["trial-000"]) == [(1, 0.7), (2, 0.8), (3, 0.9)]
    assert parent.info.status == "FINISHED"


def test_a_half_written_run_is_completed_in_place(mlruns, client):
    """What a killed process left RUNNING becomes the trial's run; its points are not doubled."""
    with tracker(mlruns) as window:
        window.record(outcome(0))
    run = runs(client)[1]["trial-000"]
    client.update_run(run.info.run_id, status="RUNNING")
    with tracker(mlruns) as window:
        window.record(outcome(0))
    again = runs(client)[1]["trial-000"]
    assert (again.info.run_id, again.info.status) == (run.info.run_id, "FINISHED")
    assert len(curve(client, again)) == 3
    assert again.info.end_time == run.info.end_time


def test_a_trial_that_ended_otherwise_is_told_anew(mlruns, client):
    """A trial that failed, was tried again and completed has one run: the complete one."""
    with tracker(mlruns) as window:
        window.record(outcome(0, "failed", accuracies=(0.2,), reason="out of memory"))
    with tracker(mlruns) as window:
        window.record(outcome(0))
    _, children = runs(client)
    run = children["trial-000"]
    assert (len(children), run.info.status, curve(client, run)[0]) == (1, "FINISHED", (1, 0.7))
    assert "failed_val_accuracy" not in run.data.metrics


def test_a_doubled_run_is_removed(mlruns, client):
    """Where a lost answer led to two runs of one trial, the next opening leaves one."""
    with tracker(mlruns) as window:
        window.record(outcome(0))
    [parent], children = runs(client)
    tags = {"mlflow.parentRunId": parent.info.run_id, "trial.name": "trial-000", "trial.state": "complete"}
    client.create_run(parent.info.experiment_id, tags=tags, run_name="double")
    with tracker(mlruns) as window:
        window.record(outcome(0))
    assert runs(client)[1].keys() == children.keys()


def test_a_parent_left_running_is_taken_over(mlruns, client):
    """The run of a dead process goes on as the run of the stage that resumes it; what grew is a tag."""
    with tracker(mlruns):
        pass
    [before], _ = runs(client)
    client.update_run(before.info.run_id, status="RUNNING")
    with tracker(mlruns, replace(FACTS, settings={"trials": "60", "top": "3"})):
        pass
    [after], _ = runs(client)
    assert (after.info.run_id, after.info.status) == (before.info.run_id, "FINISHED")
    assert after.data.params == {"trials": "40", "top": "3"}
    assert after.data.tags["now.trials"] == "60"


def test_another_key_or_arm_is_another_parent(mlruns, client):
    """A stage with other settings, and each compared arm, has a parent run of its own."""
    for facts in (FACTS, replace(FACTS, key="ffff"), replace(FACTS, arm="relu"), replace(FACTS, arm="it's")):
        with tracker(mlruns, facts) as window:
            window.record(outcome(0))
    parents, _ = runs(client)
    assert len({run.info.run_id for run in parents}) == 4
    assert [run.info.run_name for run in parents] == ["search", "search", "search relu", "search it's"]


@pytest.mark.parametrize(
    ("error", "status", "ended"),
    [(KeyboardInterrupt(), "KILLED", "interrupted"), (ValueError("no"), "FAILED", "ValueError: no")],
)
def test_a_stage_that_did_not_end_well_says_so(mlruns, client, error, status, ended):
    """Interrupted is KILLED and broken is FAILED, and what was recorded before is delivered all the same."""
    window = tracker(mlruns)
    with suppress(type(error)), window:
        window.record(outcome(0))
        raise error
    [parent], children = runs(client)
    assert (parent.info.status, parent.data.tags["study.ended"]) == (status, ended)
    assert children["trial-000"].info.status == "FINISHED"


def test_a_deleted_experiment_comes_back(mlruns, client):
    """A study whose experiment was deleted in the UI is delivered into the restored one."""
    with tracker(mlruns):
        pass
    client.delete_experiment(client.get_experiment_by_name("toy").experiment_id)
    with tracker(mlruns) as window:
        window.record(outcome(0))
    assert "trial-000" in runs(client)[1]


def test_a_run_removed_by_hand_is_delivered_again(mlruns, client):
    """A trial's run that was deleted in the UI is made again when the trial is recorded again."""
    with tracker(mlruns) as window:
        window.record(outcome(0))
    client.delete_run(runs(client)[1]["trial-000"].info.run_id)
    with tracker(mlruns) as window:
        window.record(outcome(0))
    assert runs(client)[1]["trial-000"].info.status == "FINISHED"


def test_a_half_written_run_with_a_part_of_a_curve_is_completed(mlruns, client):
    """Points that were written before a kill stay, and the rest joins them."""
    with tracker(mlruns) as window:
        window.record(outcome(0, accuracies=(0.7,)))
    run = runs(client)[1]["trial-000"].info
    client.update_run(run.run_id, status="RUNNING")
    client.log_batch(run.run_id, [Metric("val_accuracy", 0.8, run.start_time + 2000, 2)])
    with tracker(mlruns) as window:
        window.record(outcome(0))
    assert curve(client, runs(client)[1]["trial-000"]) == [(1, 0.7), (2, 0.8), (3, 0.9)]
