"""What the report says of gains: what tuning bought and what longer training, and what a search promised."""

from __future__ import annotations

from typing import Any

import pytest
from findings import COMPARE, FIXED, made

from pipeline.report import Findings, answer, markdown, metrics
from pipeline.report.gains import optimism

HALF, QUARTER = "first-half", "first-quarter"


def told(compare: str = FIXED, objective: str = 'maximize = "val_accuracy"', **conclusion: Any) -> Findings:
    """Findings with another conclusion."""
    findings = made(compare=compare, objective=objective)
    findings.conclusion.update(conclusion)
    return findings


def ends(mean: float, half: float = 0.001) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half}


def test_a_headline_of_few_seeds_says_so() -> None:
    """Three seeds give an interval, and a sentence; five give none."""
    assert "That rests on 3 seeds: 5 or more are better." in answer(told(repeats=3))
    assert "or more are better" not in answer(told())


def test_the_gain_is_told_in_two_parts_where_training_was_longer() -> None:
    """What the same epochs give the baseline, and what tuning gives on top, each with its interval."""
    parts = {"epochs": 12, "longer": ends(0.004), "tuning": ends(0.0027)}
    findings = told(parts=parts)
    assert answer(findings).endswith(
        "Training the baseline for 12 epochs instead of 6 alone gives +0.40 points, 95 % interval +0.30 to "
        "+0.50; tuning gives +0.27 points, 95 % interval +0.17 to +0.37, on top of that."
    )
    assert metrics(findings.conclusion)["parts"] == {
        "longer": ends(0.004),
        "tuning": pytest.approx(ends(0.0027)),
    }
    assert "for the winner and the baseline, at its own epochs and at the search's, alone." in markdown(
        findings
    )


def test_epochs_that_differ_are_told_where_their_part_was_not_measured() -> None:
    """As where arms differ in them: a gain that may be owed to more epochs is not left to be found."""
    findings = told()
    findings.conclusion["winner"]["configuration"] |= {"epochs": 12, "model": "mlp"}
    assert answer(findings).endswith("The winner trains for 12 epochs, the baseline for 6.")


def test_optimism_is_told_of_the_searchs_own_best_and_of_the_winner() -> None:
    """Side by side in the report and in metrics.json: of the luck of many trials, and of few seeds."""
    findings = told()
    best = findings.conclusion["search_best"]
    promised = {**best, "search_score": 0.99, "val_score": ends(0.98), "optimism": 0.01}
    again = {"is_retrained": True, "search_score": 0.988, "val_score": ends(0.983), "optimism": 0.005}
    findings.conclusion["search_best"] = promised
    findings.conclusion["winner"] |= again
    text = markdown(findings)
    assert "accuracy of 99.00 % there and has 98.00 % on fresh seeds: 1.00 points too much" in text
    assert (
        "98.80 % in the search, 98.41 % on the fresh seeds that chose it, and has 98.30 % on others: 0.50"
        in text
    )
    assert metrics(findings.conclusion)["optimism"] == {"search_best": 0.01, "winner": 0.005}
    assert "it was trained once more on as many others" in text


def test_a_search_best_that_fails_on_a_fresh_seed_is_told() -> None:
    """What is told then is of the best of the others."""
    findings = told()
    findings.conclusion["search_best"]["is_first"] = False
    assert optimism(findings).startswith(
        "The search's own best failed on a fresh seed; the best of the others had a validation accuracy of "
    )


def test_one_candidate_has_one_optimism() -> None:
    """Nothing chose among fresh seeds, so there is no second set of them to speak of."""
    text = markdown(told())
    assert "The search's own best had" in text
    assert "chose it" not in text
    assert "trained once more" not in text


@pytest.mark.parametrize("part", [HALF, QUARTER])
def test_a_search_that_found_its_best_early_says_so(part: str) -> None:
    """Nothing more was trained to find that out."""
    found = {HALF: None, QUARTER: None if part == QUARTER else ends(0.01)}
    text = markdown(told(budgets=found))
    assert f"The search found its own best in the {part.replace('-', ' ')} of its trials." in text


def test_what_the_end_of_the_budget_bought_is_told_with_its_interval() -> None:
    """Of the second half and of the last three quarters, over seeds and validation images."""
    text = markdown(told(budgets={HALF: ends(0.002), QUARTER: ends(0.01)}))
    assert (
        "The second half of the search bought +0.20 points, 95 % interval +0.10 to +0.30; its last three "
        "quarters bought +1.00 points, 95 % interval +0.90 to +1.10 (by its own best, in validation "
        "accuracy, over 5 seeds and the validation images)."
    ) in text


def test_a_metric_of_ones_own_is_compared_over_seeds_and_said_to_be() -> None:
    """No answers give it, so the method says what its intervals leave out."""
    text = markdown(told(compare=COMPARE, compared_over="seeds"))
    assert "paired over 5 seeds)" in text
    assert "paired by seed, as no answers give a metric of the user's own" in text


@pytest.mark.parametrize(("repeats", "middle"), [(5, ""), (4, ", the worse of the two in the middle")])
def test_the_registered_model_is_told_with_its_own_accuracy(repeats: int, middle: str) -> None:
    """Which repeat it is, and what the mean of all is; of an even number which of the two in the middle."""
    text = markdown(told(repeats=repeats))
    place = f"repeat 2 (of 0 to {repeats - 1}), whose validation accuracy is the median{middle}: its own"
    assert f"Registered is the model of {place} test accuracy is 98.38 %, the mean of all 98.41 %." in text


def test_mcnemar_is_told_of_one_pair() -> None:
    """The exact test on the two models whose score is the median."""
    text = markdown(made())
    assert "only the winner's is right on 60 test images and only the baseline's on 41" in text
    assert "(exact McNemar test, p = 0.073)" in text
