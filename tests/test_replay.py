"""A recorded trial, trained again, gives its numbers again; where it does not, the decision says so."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TINY, run_in, write_study
from fakes import FakePool, loop, outcome, trial

from pipeline.errors import StoreError, StudyError
from pipeline.records.ledger import Ledger
from pipeline.stages.comparison import ACCURACY_TOLERANCE, judge
from pipeline.stages.replay import Again, choose
from pipeline.tracking.entry import place_of
from pipeline.tracking.mlflow_view import mark_trials
from pipeline.trial import EpochResult

WHOLE = outcome(0, 0.5, 0.6, 0.7)
FAILED = outcome(0, 0.5, state="failed", reason="diverged at epoch 2: loss is nan")
OUTCOMES = {
    "optuna": {number: outcome(number, 0.5) for number in (0, 1, 2, 5)},
    "keras_tuner": {0: outcome(0, 0.5), 1: outcome(1, 0.5, state="failed")},
}


def moved(recorded, epoch: int, by: float):
    """An outcome whose val_accuracy is another at one epoch."""
    curve = [dict(metrics) for metrics in recorded.curve]
    curve[epoch - 1]["val_accuracy"] += by
    return replace(recorded, curve=tuple(curve), score=curve[-1]["val_accuracy"])


def test_the_same_bits_are_verified() -> None:
    """A curve that is the recorded one to the last bit is verified, a failure that comes again too."""
    assert str(judge(WHOLE, WHOLE, "")) == "verified: every metric of 3 epochs has the same bits."
    assert judge(FAILED, FAILED, "").detail.endswith(
        "failed at epoch 2 (diverged at epoch 2: loss is nan), as before"
    )


def test_other_weights_are_a_difference() -> None:
    """Whatever the curve says: a complete trial is verified only if its weights have the recorded hash."""
    first, second = (replace(WHOLE, weights_sha256=64 * digit) for digit in "ab")
    assert judge(first, first, "").detail.endswith("of 3 epochs has the same bits, and so have the weights")
    said = "differs: the SHA-256 of the weights was aaaaaaaaaaaa, is bbbbbbbbbbbb."
    assert str(judge(first, second, "")) == said
    assert "was not recorded, is bbbbbbbbbbbb" in judge(WHOLE, second, "").detail


def test_one_bit_is_a_difference() -> None:
    """The smallest change of one number differs, from its epoch on; so does another sign of a zero."""
    last_bit = math.nextafter(0.6, 1) - 0.6
    decision = judge(WHOLE, moved(moved(WHOLE, 3, 0.1), 2, last_bit), "")
    assert (decision.word, decision.is_good) == ("differs", False)
    assert decision.detail == "from epoch 2 on, val_accuracy was 0.6, is 0.6000000000000001 (1.1e-16 apart)"
    assert judge(outcome(0, 0.0), outcome(0, -0.0), "").word == "differs"


@pytest.mark.parametrize(
    ("recorded", "replayed", "said"),
    [
        (WHOLE, FAILED, "the recorded one was complete after epoch 3, this one failed at epoch 2"),
        (FAILED, WHOLE, "this one was complete after epoch 3"),
        (FAILED, replace(FAILED, reason="out of memory"), "this one failed at epoch 2 (out of memory)"),
        (replace(FAILED, curve=()), FAILED, "the recorded one failed at epoch 1"),
        (
            WHOLE,
            replace(WHOLE, curve=({"loss": 0.5}, *WHOLE.curve[1:])),
            "val_accuracy was 0.5, is nan (inf apart)",
        ),
    ],
)
def test_another_ending_is_a_difference(recorded, replayed, said) -> None:
    """Another state, epoch, reason or set of metrics differs, and the decision says both."""
    decision = judge(recorded, replayed, "")
    assert decision.word == "differs"
    assert said in decision.detail


@pytest.mark.parametrize(
    ("replayed", "said", "is_good"),
    [
        (WHOLE, "every metric of 3 epochs has the same bits all the same", True),
        (moved(WHOLE, 2, -ACCURACY_TOLERANCE / 2), "is 0.575 (0.025 apart): within 0.05", True),
        (
            moved(WHOLE, 2, 2 * ACCURACY_TOLERANCE),
            "at epoch 2, val_accuracy was 0.6, is 0.7 (0.1 apart): beyond 0.05",
            False,
        ),
        (FAILED, "beyond tolerance: the recorded one was complete", False),
    ],
)
def test_another_fingerprint_is_compared_with_a_tolerance(replayed, said, is_good) -> None:
    """What has changed is named; the largest difference in an accuracy decides, or another ending."""
    decision = judge(WHOLE, replayed, "packages.keras")
    assert (decision.word, decision.is_good) == ("not comparable", is_good)
    assert decision.detail.startswith("packages.keras changed since; ")
    assert said in decision.detail


def test_a_loss_has_no_tolerance() -> None:
    """Losses have no common scale: where only they are others, the trial is within."""
    recorded = replace(WHOLE, curve=({"val_loss": 0.5},))
    assert judge(recorded, replace(recorded, curve=({"val_loss": 9.0},)), "data").is_good


def test_all_trials_or_those_that_are_named() -> None:
    """Without words every recorded trial is replayed, else the named ones, each once, in their order."""
    assert choose(OUTCOMES, (), None, 7) == {"optuna": [0, 1, 2, 5], "keras_tuner": [0, 1]}
    assert choose(OUTCOMES, ("optuna:5", "optuna:0", "optuna:5"), None, 7) == {"optuna": [0, 5]}
    assert choose({"search": OUTCOMES["optuna"]}, ("2",), None, 7) == {"search": [2]}


def test_a_sample_is_the_same_twice() -> None:
    """The study's seed draws the sample, failed trials left out; a larger one holds the smaller."""

    def drawn(size: int, seed: int = 7) -> set:
        return {
            (arm, number) for arm, numbers in choose(OUTCOMES, (), size, seed).items() for number in numbers
        }

    assert drawn(3) == drawn(3)
    assert len(drawn(3)) == 3
    assert drawn(2) < drawn(3)
    assert drawn(99) == {*(("optuna", number) for number in (0, 1, 2, 5)), ("keras_tuner", 0)}
    assert len({frozenset(drawn(2, seed)) for seed in range(20)}) > 1


@pytest.mark.parametrize(
    ("words", "sample", "said"),
    [
        (("optuna:3",), None, "ARM:NUMBER of the record.\nReceived: optuna:3. "
         "There are optuna:0 to 2, 5; keras_tuner:0 to 1."),
        (("0",), None, "Received: 0. There are optuna:0"),
        (("optuna:0",), 3, "either trials or a sample can be named.\nReceived: optuna:0 --sample 3"),
    ],
)  # fmt: skip
def test_a_trial_that_is_not_there_is_refused(words, sample, said) -> None:
    """A trial outside the record is refused with those that there are; so are trials with a sample."""
    with pytest.raises(StudyError, match=re.escape(said)):
        choose(OUTCOMES, words, sample, 7)


def test_a_sample_of_failures_is_refused() -> None:
    """Where every trial has failed, there is nothing to draw from."""
    with pytest.raises(StudyError, match="a sample needs a trial that has not failed"):
        choose({"search": {1: OUTCOMES["keras_tuner"][1]}}, (), 1, 7)


def test_a_trial_is_trained_to_where_it_ended() -> None:
    """A complete trial is complete again, a pruned one is pruned after, a failed one fails at its epoch."""
    pruned = outcome(1, 0.1, 0.2, state="pruned", reason="pruned at epoch 2")
    recorded = [
        replace(one, trial=trial(number, epochs=3))
        for number, one in enumerate([outcome(0, 0.1, 0.2, 0.3), pruned, FAILED])
    ]

    def train(one, epoch):
        reason = FAILED.reason if (one.number, epoch) == (2, 2) else ""
        return EpochResult(one.number, epoch, {} if reason else {"val_accuracy": epoch / 10}, reason=reason)

    again = loop(Again(recorded), pool=FakePool(train), parallel=2).run()
    endings = {one.trial.number: (one.state, len(one.curve), one.reason) for one in again}
    assert endings == {one.trial.number: (one.state, len(one.curve), one.reason) for one in recorded}


def test_mlflow_without_the_run_is_said(tmp_path: Path) -> None:
    """A decision for a run that MLflow never got is refused, and the message says how to deliver it."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with pytest.raises(StoreError, match=r"no run of trial 3, 7\. Deliver them, .* study repair toy"):
        mark_trials(uri, "toy", place_of("search", "0123", "arm"), {7: {}, 3: {}})
    assert not list(tmp_path.iterdir())


def test_what_is_not_recorded_is_refused(project: Path) -> None:
    """Without a record replay asks for a search; a record without its facts is refused, a lost trial too."""
    assert run_in(project, "study", "prepare", "tiny").returncode == 0
    done = run_in(project, "study", "replay", "tiny")
    assert done.returncode == 2
    assert "Run: study search tiny" in done.stdout
    record = project / "mlruns/searches/tiny/search-optuna-0123"
    Ledger(record / "record.jsonl").append(WHOLE, 1.0)
    done = run_in(project, "study", "replay", "tiny")
    assert done.returncode == 2
    assert "must say what the record depends on.\nReceived: FileNotFoundError" in done.stdout
    (record / "facts.json").write_text(json.dumps({"study": {"seed": 7, "trainer": "auto"}}))
    done = run_in(project, "study", "replay", "tiny", "optuna:1")
    assert done.returncode == 2
    assert "replay keras_tuner: nothing is recorded." in done.stdout
    assert "Received: optuna:1. There are optuna:0." in done.stdout


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a search of three trials."""
    folder = tmp_path_factory.mktemp("searched")
    compare = '[compare]\nengine = { choice = ["optuna", "keras_tuner"] }\n'
    write_study(folder, "tiny", TINY.replace(compare, "").replace("trials   = 5", "trials   = 3"))
    for stage in ("prepare", "search"):
        assert run_in(folder, "study", stage, "tiny").returncode == 0
    return folder


def replayed(project: Path, folder: Path, edit, *words: str):
    """Replay in a copy of a project whose record was edited before."""
    shutil.copytree(project, folder, dirs_exist_ok=True)
    [record] = folder.glob("mlruns/searches/tiny/search-*")
    edit(record)
    return run_in(folder, "study", "replay", "tiny", *words)


def tags(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """Comparison and detail of each trial's run, as MLflow's own client reads them."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    [experiment] = client.search_experiments(filter_string="name = 'tiny'")
    found = [run.data.tags for run in client.search_runs([experiment.experiment_id])]
    return {
        tag["trial.number"]: (tag.get("replay.decision"), tag.get("replay.detail"))
        for tag in found
        if "trial.number" in tag
    }


@pytest.mark.slow
def test_an_untouched_record_is_verified(searched: Path) -> None:
    """Every trial of a search gives its bits again, and its MLflow run says so."""
    done = run_in(searched, "study", "replay", "tiny")
    assert done.returncode == 0, done.stdout
    same = "every metric of 3 epochs has the same bits, and so have the weights"
    assert [line for line in done.stdout.splitlines() if line.startswith("trial")] == [
        f"trial {number}: verified: {same}." for number in range(3)
    ]
    assert tags(searched) == {str(number): ("verified", same) for number in range(3)}


@pytest.mark.slow
def test_a_record_that_is_not_true_differs(searched: Path, tmp_path: Path) -> None:
    """A number that was never measured is found, with its epoch; a pruned trial is trained to its end."""

    def edit(record: Path) -> None:
        ledger = Ledger(record / "record.jsonl")
        first, second = ledger.outcomes[0], moved(ledger.outcomes[1], 2, 0.125)
        curve, reason = first.curve[:2], "pruned at epoch 2"
        score = curve[-1]["val_accuracy"]
        pruned = replace(first, state="pruned", curve=curve, score=score, reason=reason, weights_sha256="")
        ledger.append(pruned, 1.0)
        ledger.append(replace(second, weights_sha256=64 * "0"), 1.0)

    done = replayed(searched, tmp_path, edit, "0", "1")
    assert done.returncode == 2
    assert "trial 0: verified: every metric of 2 epochs has the same bits." in done.stdout
    said = (
        r"trial 1: differs: from epoch 2 on, val_accuracy was .*\(0\.12 apart\); the SHA-256 of the weights"
    )
    assert re.search(said, done.stdout)
    assert "1 of 2 trials do not: 1." in done.stdout
    assert tags(tmp_path)["1"][0] == "differs"


@pytest.mark.slow
def test_another_package_is_not_comparable(searched: Path, tmp_path: Path) -> None:
    """A record of another Keras is named so, trained all the same, and within the tolerance."""

    def edit(record: Path) -> None:
        facts = json.loads((record / "facts.json").read_text())
        facts["packages"]["keras"] = "3.0.0"
        (record / "facts.json").write_text(json.dumps(facts))

    done = replayed(searched, tmp_path, edit, "2")
    assert done.returncode == 0, done.stdout
    assert "trial 2: not comparable: packages.keras changed since; " in done.stdout


@pytest.mark.slow
def test_a_record_of_another_backend_is_not_trained(searched: Path, tmp_path: Path) -> None:
    """Its trials began with other weights; the message names the backend to choose."""

    def edit(record: Path) -> None:
        facts = json.loads((record / "facts.json").read_text())
        facts["machine"]["backend"] = "jax"
        (record / "facts.json").write_text(json.dumps(facts))

    done = replayed(searched, tmp_path, edit, "2")
    assert done.returncode == 2
    assert "Received: tensorflow. Run with KERAS_BACKEND=jax." in done.stdout
