"""What a report says first: the answer, and metrics.json. And the findings that all its tests share."""

from __future__ import annotations

import json
from dataclasses import replace

import pandas as pd
from findings import BEFORE, FIXED, made

from pipeline.report import answer, metrics


def test_an_improvement_is_told_with_its_interval() -> None:
    """The answer names both accuracies, the gain in points and its interval over seeds."""
    assert answer(made(compare=FIXED)) == (
        "Tuning took the test accuracy from 97.74 % to 98.41 % "
        "(+0.67 points, 95 % interval +0.64 to +0.71 over 5 seeds and 10,000 test images)."
    )


def test_a_loss_is_told_as_harm() -> None:
    """When the interval lies below 0 the answer does not speak of a gain."""
    worse = [accuracy - 0.01 for accuracy in BEFORE]
    told = answer(made(after=[*worse[:4], worse[4] + 0.001], compare=FIXED))
    assert told.startswith("Tuning did harm: it took the test accuracy from 97.74 % down to 96.76 % (-0.98")


def test_a_tie_is_told_plainly() -> None:
    """When the interval includes 0 the answer says that no difference is shown."""
    told = answer(made(after=[0.9785, 0.9766, 0.9779, 0.9768, 0.9781], compare=FIXED))
    assert told.startswith("The study does not show a difference: the test accuracy is 97.74 % ")
    assert "95 % interval -0.10 to +0.14" in told


def test_equal_models_differ_by_nothing() -> None:
    """A winner that equals the baseline is a tie of 0.00 points, without a sign."""
    assert "(0.00 points, 95 % interval 0.00 to 0.00 over" in answer(made(after=BEFORE, compare=FIXED))


def test_a_resolved_difference_is_never_shown_as_nothing() -> None:
    """A tiny gain gets the decimals that it takes to see that it is not 0."""
    told = answer(made(after=[accuracy + 0.00002 for accuracy in BEFORE], compare=FIXED))
    assert "+0.002 points, 95 % interval +0.002 to +0.002" in told


def test_arms_are_compared_by_the_interval_of_the_conclusion() -> None:
    """The answer gives the interval between the arms' best candidates, and what it covers."""
    findings = made()
    findings.conclusion["arms"][0]["ahead_of"]["keras_tuner"] = {"mean": 0.003, "low": -0.001, "high": 0.007}
    told = answer(findings).split(". ", 1)[1]
    assert told.startswith("Compared by engine, the best candidate of optuna confirmed better than that of")
    assert "(+0.30 points, 95 % interval -0.10 to +0.70, over 5 seeds and the validation images)" in told
    assert "this difference is not resolved: the two cannot be told apart." in told


def test_an_arm_without_a_candidate_leaves_the_question_open() -> None:
    """With one arm among the confirmed there is nothing to compare, and the answer says so."""
    findings = made()
    del findings.conclusion["candidates"][1]
    assert answer(findings).endswith(
        "Which engine is better stays open: none of the confirmed candidates is of keras_tuner."
    )


def test_of_three_arms_the_best_is_set_against_the_next() -> None:
    """More than two arms: the best before the next best, the arm without a candidate named."""
    findings = made(compare=FIXED + '[compare]\nactivation = { choice = ["relu", "tanh", "sigmoid"] }')
    findings.conclusion["candidates"].pop()
    told = answer(findings)
    assert "Compared by activation, the best candidate of relu confirmed best, before that of tanh: " in told
    assert told.endswith("No candidate of sigmoid was confirmed.")


def test_equal_arms_are_told_as_equal() -> None:
    """Two arms whose best candidates score alike, seed by seed, have no better one."""
    findings = made()
    findings.conclusion["arms"][0]["ahead_of"]["keras_tuner"] = {"mean": 0.0, "low": -0.001, "high": 0.001}
    assert "the best candidate of optuna confirmed the same as that of keras_tuner" in answer(findings)


def test_arms_that_tried_the_same_trials_are_not_called_compared() -> None:
    """As two samplers do that both still draw at random: the answer says that nothing was compared."""
    findings = made()
    first = findings.of_arm("optuna")
    trials = pd.concat([first, first.assign(arm="keras_tuner")])
    told = answer(replace(findings, trials=trials))
    assert "The arms optuna and keras_tuner tried the very same trials: what they differ in never" in told
    assert "Compared by" not in told


def test_a_third_arm_is_compared_with_one_of_two_that_tried_the_same_trials() -> None:
    """What is alike is told, and does not hide what differs."""
    findings = made(compare=FIXED + '[compare]\nactivation = { choice = ["relu", "tanh", "sigmoid"] }')
    first = findings.of_arm("relu")
    others = findings.of_arm("tanh")
    trials = pd.concat([first, others, first.assign(arm="sigmoid")])
    findings.conclusion["candidates"].append({**findings.conclusion["candidates"][0], "arm": "sigmoid"})
    told = answer(replace(findings, trials=trials))
    assert "The arms relu and sigmoid tried the very same trials" in told
    assert "Compared by activation, the best candidate of relu confirmed best, before that of tanh: " in told
    assert "No candidate of" not in told


def test_metrics_are_rounded_and_the_configuration_exact() -> None:
    """metrics.json holds six digits of each measure, and the configuration as it was trained."""
    findings = made()
    found = metrics(findings.conclusion)
    assert found["winner"]["test_accuracy"] == {"mean": 0.98414, "low": 0.983742, "high": 0.984538}
    assert found["winner"]["configuration"] == findings.conclusion["winner"]["configuration"]
    assert set(found) == {"baseline", "winner", "difference", "optimism"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_metrics_have_no_negative_zero() -> None:
    """A rounded nothing is 0.0 in every run, so that DVC sees no change."""
    findings = made()
    findings.conclusion["winner"]["optimism"] = -1e-9
    assert str(metrics(findings.conclusion)["optimism"]["winner"]) == "0.0"
