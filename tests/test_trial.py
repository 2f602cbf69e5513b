"""One configuration and its outcome."""

import json
import math
from dataclasses import replace

import pytest

from pipeline.trial import Outcome, Trial, best, is_finite


def trial(number: int = 0) -> Trial:
    values = {"learning_rate": 0.01, "batch_size": 32, "activation": "relu"}
    return Trial(number, values, {**values, "epochs": 2}, 2, ("trial", number))


def complete(number: int, score: float) -> Outcome:
    return Outcome(trial(number), "complete", ({"val_accuracy": score},), score)


@pytest.mark.parametrize(
    "outcome",
    [
        complete(3, 0.1 + 0.2),
        replace(complete(3, 0.5), weights_sha256=64 * "f"),
        Outcome(trial(), "failed", (), None, "diverged at epoch 1", 0.25),
        Outcome(trial(), "pruned", ({"loss": 5e-324}, {"loss": 1e308}), 1e308, "pruned at epoch 2"),
    ],
)
def test_an_outcome_comes_back_from_its_record(outcome):
    """A record is JSON from which the very same outcome is made, to the last bit."""
    text = json.dumps(outcome.as_record(), allow_nan=False)
    assert Outcome.from_record(json.loads(text)) == outcome


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("state", ["complete", "pruned"])
def test_nan_and_infinity_are_never_a_score(state, score):
    """An outcome with such a score cannot be made."""
    with pytest.raises(ValueError, match="a score is a finite number"):
        Outcome(trial(), state, (), score)


@pytest.mark.parametrize(
    ("state", "score", "message"),
    [
        ("complete", None, "a complete trial has a score"),
        ("failed", 0.5, "a failed trial has no score"),
        ("running", None, "a trial's state is one of complete, pruned, failed, not running"),
    ],
)
def test_state_and_score_agree(state, score, message):
    """An outcome says one thing, not two."""
    with pytest.raises(ValueError, match=message):
        Outcome(trial(), state, (), score)


def test_the_best_is_the_highest_or_the_lowest_as_the_objective_says():
    """Direction comes from the objective; pruned and failed trials are not candidates."""
    pruned = Outcome(trial(7), "pruned", (), 0.99)
    failed = Outcome(trial(8), "failed", (), None)
    outcomes = [complete(0, 0.0), pruned, complete(1, 0.9), failed, complete(2, -0.5)]
    assert best(outcomes, maximize=True) == complete(1, 0.9)
    assert best(outcomes, maximize=False) == complete(2, -0.5)


def test_of_equal_trials_the_earliest_is_best():
    """The order of the list does not matter, so a resumed search names the same trial."""
    assert best([complete(5, 0.9), complete(2, 0.9)], maximize=True) == complete(2, 0.9)


def test_without_a_complete_trial_nothing_is_best():
    """No outcome stands in for a best one."""
    assert best([], maximize=True) is None
    assert best([Outcome(trial(), "failed", (), None)], maximize=True) is None


@pytest.mark.parametrize(
    ("metrics", "finite"), [({"loss": 0.1}, True), ({"loss": 0.1, "accuracy": math.nan}, False), ({}, True)]
)
def test_metrics_are_finite_only_when_all_are(metrics, finite):
    """One NaN among the metrics is enough."""
    assert is_finite(metrics) is finite
