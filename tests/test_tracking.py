"""What MLflow shows of a stage, read back through its own client from a SQLite store."""

import shutil
from contextlib import contextmanager
from dataclasses import replace

import pytest
from mlflow import MlflowClient

from pipeline.tracking.entry import StageFacts, entry_of
from pipeline.tracking.mlflow_view import MlflowView, differing, see_runs
from pipeline.tracking.store import connect
from pipeline.trial import Outcome, Trial

pytestmark = pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")

CARD, COMMIT = {"name": "digits", "sha256": "ab" * 32}, {"git.commit": "c0ffee", "git.dirty": "false"}
FACTS = StageFacts("toy", "search", "0123abcd", "", 'question = "Is it?"\n', CARD, {"trials": "40"}, COMMIT)


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


def local_uri(mlruns):
    return f"sqlite:///{mlruns.absolute() / 'mlflow.db'}"


@contextmanager
def tracker(mlruns, facts=FACTS, *, name="", prefix="", recorded=(), ended="done"):
    """A view of a stage, finished when the block ends."""

    def described(outcome):
        return entry_of(outcome, facts, name, prefix)

    view = MlflowView(local_uri(mlruns), mlruns / "artifacts", facts, described, recorded)
    yield view
    list(view.finish(ended))


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
        window.put(outcome(0))
        window.put(outcome(1))
    [parent], children = runs(client)
    assert set(children) == {"trial-000", "trial-001"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children.values()} == {parent.info.run_id}


@pytest.mark.parametrize(
    ("state", "status"), [("complete", "FINISHED"), ("pruned", "KILLED"), ("failed", "FAILED")]
)
def test_a_run_ends_as_its_trial_did(mlruns, client, state, status):
    """Complete, pruned and failed trials differ by status; the state and the reason are tags."""
    with tracker(mlruns) as window:
        window.put(outcome(0, state, reason="at epoch 3"))
    run = runs(client)[1]["trial-000"]
    assert run.info.status == status
    assert (run.data.tags["trial.state"], run.data.tags["trial.reason"]) == (state, "at epoch 3")


def test_a_run_holds_the_whole_curve(mlruns, client):
    """Each metric is there for every epoch, with the epoch as its step, beside the score and the seconds."""
    with tracker(mlruns) as window:
        window.put(outcome(0))
    run = runs(client)[1]["trial-000"]
    assert curve(client, run) == [(1, 0.7), (2, 0.8), (3, 0.9)]
    assert (run.data.metrics["score"], run.data.metrics["seconds"]) == (0.9, 3.0)


def test_a_curve_longer_than_a_batch_is_whole(mlruns, client):
    """A curve of more values than MLflow takes at once is delivered in parts."""
    with tracker(mlruns) as window:
        window.put(outcome(0, accuracies=[epoch / 1000 for epoch in range(1, 701)]))
    run = runs(client)[1]["trial-000"]
    assert len(curve(client, run)) == len(curve(client, run, "loss")) == 700


def test_a_run_says_what_was_trained_on_what(mlruns, client):
    """Configuration, seeds, data and code can be read from the run alone."""
    with tracker(mlruns) as window:
        window.put(outcome(7))
    run = runs(client)[1]["trial-007"]
    params = {"learning_rate": "0.01", "hidden_units": "64", "activation": "relu", "epochs": "5"}
    assert run.data.params == params
    tags = run.data.tags
    assert (tags["trial.number"], tags["trial.seed_path"]) == ("7", '["trial", 7]')
    assert (tags["study.data_sha256"], tags["mlflow.source.git.commit"]) == ("ab" * 32, "c0ffee")
    [data] = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("digits", "ab" * 18)


def test_a_run_lasts_as_long_as_its_training(mlruns, client):
    """The duration that the UI shows is what the trial's epochs took."""
    with tracker(mlruns) as window:
        window.put(outcome(0))
    info = runs(client)[1]["trial-000"].info
    assert info.end_time - info.start_time == 3000


def test_the_parent_run_says_what_the_stage_was(mlruns, client):
    """Study file, data card, settings and environment are with the stage's own run."""
    with tracker(mlruns):
        pass
    [parent], _ = runs(client)
    files = {file.path for file in client.list_artifacts(parent.info.run_id)}
    assert files == {"study.toml", "card.json"}
    assert parent.data.params == {"trials": "40"}
    assert parent.data.tags["git.dirty"] == "false"
    assert (parent.info.status, parent.info.run_name) == ("FINISHED", "search")


def test_what_is_too_long_for_mlflow_is_told_in_part(mlruns, client):
    """One long value must not keep all else from being delivered."""
    with tracker(mlruns, replace(FACTS, settings={"space": 9_000 * "x"})) as window:
        long = outcome(0, reason=9_000 * "x")
        window.put(replace(long, trial=replace(long.trial, configuration={"text": 9_000 * "x"})))
    [parent], children = runs(client)
    assert {len(parent.data.params["space"]), len(children["trial-000"].data.params["text"])} == {6_000}


def test_the_best_trial_is_on_top_by_val_accuracy(mlruns, client):
    """Neither a confirm run nor a trial that diverged after a good epoch comes before the best trial."""
    with tracker(mlruns) as window:
        window.put(outcome(0, accuracies=(0.7, 0.90)))
        window.put(outcome(1, accuracies=(0.7, 0.95)))
        window.put(outcome(2, "failed", accuracies=(0.99,), reason="loss is not finite"))
    confirm = replace(FACTS, stage="confirm")
    with tracker(mlruns, confirm, name="confirm-1-repeat-0", prefix="confirmed_") as window:
        window.put(outcome(1, accuracies=(0.7, 0.97)))
    _, children = runs(client, by="metrics.val_accuracy DESC")
    assert next(iter(children)) == "trial-001"
    assert children["confirm-1-repeat-0"].data.metrics["confirmed_val_accuracy"] == 0.97


def test_recording_again_changes_nothing(mlruns, client):
    """A stage that goes on may record everything again: the same runs, the same points, the same parent."""
    with tracker(mlruns) as window:
        window.put(outcome(0))
    before = runs(client)[1]["trial-000"]
    with tracker(mlruns) as window:
        window.put(outcome(0))
    [parent], children = runs(client)
    assert [run.info.run_id for run in children.values()] == [before.info.run_id]
    assert curve(client, children["trial-000"]) == [(1, 0.7), (2, 0.8), (3, 0.9)]
    assert parent.info.status == "FINISHED"


def test_a_half_written_run_is_made_anew(mlruns, client):
    """What a killed process left RUNNING goes to the trash; one whole run stands in its place."""
    with tracker(mlruns) as window:
        window.put(outcome(0, accuracies=(0.7,)))
    run = runs(client)[1]["trial-000"]
    client.update_run(run.info.run_id, status="RUNNING")
    with tracker(mlruns) as window:
        window.put(outcome(0))
    [again] = runs(client)[1].values()
    assert (again.info.status, len(curve(client, again))) == ("FINISHED", 3)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"


def test_a_run_of_nothing_recorded_is_taken_away(mlruns, client):
    """One that is recorded and not yet told again stays."""
    with tracker(mlruns) as window:
        window.put(outcome(0))
        window.put(outcome(1))
    with tracker(mlruns, recorded=["trial-001"]):
        pass
    assert set(runs(client)[1]) == {"trial-001"}


def test_a_trial_that_ended_otherwise_is_told_anew(mlruns, client):
    """A trial that failed, was tried again and completed has one run: the complete one."""
    with tracker(mlruns) as window:
        window.put(outcome(0, "failed", accuracies=(0.2,), reason="out of memory"))
    with tracker(mlruns) as window:
        window.put(outcome(0))
    _, children = runs(client)
    run = children["trial-000"]
    assert (len(children), run.info.status, curve(client, run)[0]) == (1, "FINISHED", (1, 0.7))
    assert "failed_val_accuracy" not in run.data.metrics


@pytest.mark.parametrize("whose", ["trial", "parent"])
def test_doubled_runs_become_one(mlruns, client, whose):
    """Where a lost answer led to two runs of one trial or stage, the next time leaves one."""
    with tracker(mlruns) as window:
        window.put(outcome(0))
    [parent], children = runs(client)
    run = parent if whose == "parent" else children["trial-000"]
    client.create_run(run.info.experiment_id, run.info.start_time - 1, run.data.tags)
    with tracker(mlruns) as window:
        window.put(outcome(0))
    [parent], children = runs(client)
    assert [run.data.tags["mlflow.parentRunId"] for run in children.values()] == [parent.info.run_id]


def test_a_parent_left_running_is_taken_over(mlruns, client):
    """The run of a dead process goes on as the run of the stage that resumes it."""
    with tracker(mlruns):
        pass
    [before], _ = runs(client)
    client.update_run(before.info.run_id, status="RUNNING")
    with tracker(mlruns):
        pass
    [after], _ = runs(client)
    assert (after.info.run_id, after.info.status) == (before.info.run_id, "FINISHED")


def test_what_differs_is_named(mlruns, client):
    """A missing run, one that says something else, one of nothing recorded, an open parent; else nothing."""
    entries = [entry_of(outcome(number), FACTS) for number in range(3)]
    with tracker(mlruns) as window:
        for number in range(3):
            window.put(outcome(number))
    assert differing(see_runs(local_uri(mlruns), "toy"), FACTS, entries) == []
    [parent], children = runs(client)
    client.delete_run(children["trial-001"].info.run_id)
    client.log_metric(children["trial-002"].info.run_id, "val_accuracy", 0.99, step=99)
    client.update_run(parent.info.run_id, status="RUNNING")
    found = differing(see_runs(local_uri(mlruns), "toy"), FACTS, entries[1:])
    assert found == ["search", "trial-001", "trial-002", "trial-000"]


def test_another_key_or_arm_is_another_parent(mlruns, client):
    """A stage with other settings, and each compared arm, has a parent run of its own."""
    for facts in (FACTS, replace(FACTS, key="ffff"), replace(FACTS, arm="relu"), replace(FACTS, arm="it's")):
        with tracker(mlruns, facts) as window:
            window.put(outcome(0))
    parents, _ = runs(client)
    assert len({run.info.run_id for run in parents}) == 4
    assert [run.info.run_name for run in parents] == ["search", "search", "search relu", "search it's"]


@pytest.mark.parametrize(("ended", "status"), [("interrupted", "KILLED"), ("ValueError: no", "FAILED")])
def test_a_stage_that_did_not_end_well_says_so(mlruns, client, ended, status):
    """Interrupted is KILLED and broken is FAILED, and what was recorded before is delivered all the same."""
    with tracker(mlruns, ended=ended) as window:
        window.put(outcome(0))
    [parent], children = runs(client)
    assert (parent.info.status, parent.data.tags["study.ended"]) == (status, ended)
    assert children["trial-000"].info.status == "FINISHED"


def test_a_deleted_experiment_comes_back(mlruns, client):
    """A study whose experiment was deleted in the UI is delivered into the restored one."""
    with tracker(mlruns):
        pass
    client.delete_experiment(client.get_experiment_by_name("toy").experiment_id)
    with tracker(mlruns) as window:
        window.put(outcome(0))
    assert "trial-000" in runs(client)[1]


def test_a_run_removed_by_hand_is_delivered_again(mlruns, client):
    """A trial's run that was deleted in the UI is made again when the trial is recorded again."""
    for _ in range(2):
        with tracker(mlruns) as window:
            window.put(outcome(0))
        [run] = runs(client)[1].values()
        assert run.info.status == "FINISHED"
        client.delete_run(run.info.run_id)
