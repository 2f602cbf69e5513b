"""What a report says first: the answer, and metrics.json. And the findings that all its tests share."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from fakes import DEFAULTS, parse
from scipy import stats

from pipeline.report import Findings, answer, metrics
from pipeline.statistics import Components, confusion, interval, paired_interval, per_class, resolution

STUDY = """
question  = "How much does tuning buy?"
dataset   = "mnist"
seed      = 20260101
objective = {{ {objective} }}
{compare}
[space]
learning_rate = {{ float = [1e-4, 1e-2], log = true }}
batch_size    = {{ choice = [32, 64, 128] }}
dropout       = {{ float = [0.0, 0.5] }}
model         = {{ choice = ["mlp", "cnn"] }}
filters       = {{ int = [8, 64], when = {{ model = "cnn" }} }}
[search]
pruner = "median"
trials = 24
[confirm]
top = 3
"""
FIXED = "[fixed]\nepochs = 6\n"
COMPARE = f'{FIXED}[compare]\nengine = {{ choice = ["optuna", "keras_tuner"] }}'
DUPLICATES = {
    "within": {"train": {"num_images": 5, "num_other_label": 0}, "test": {"num_images": 0}},
    "across": {"train/test": {"num_images": 3, "num_other_label": 1, "examples": [{"train": 0, "test": 1}]}},
}
SEARCHED = ("learning_rate", "batch_size", "dropout", "model", "filters")
BEFORE = [0.9771, 0.9778, 0.9774, 0.9769, 0.9778]
AFTER = [0.9839, 0.9846, 0.9838, 0.9841, 0.9843]
NEXT = [0.9841, 0.9836, 0.9842, 0.9835, 0.9838]


def made(
    after: list[float] = AFTER,
    question: str = "How much does tuning buy?",
    classes: list[str] | None = None,
    objective: str = 'maximize = "val_accuracy"',
    compare: str = COMPARE,
    num_trials: int = 24,
) -> Findings:
    """Findings of a study that never was, the same for the same arguments."""
    names = classes or [str(digit) for digit in range(10)]
    study = parse(STUDY.format(objective=objective, compare=compare), "made-up")
    # Set behind the study's own checks: what those refuse today must be inert all the same.
    study = replace(study, question=question)
    chance = np.random.default_rng(7)
    trials, curves = _search([arm.name for arm in study.arms], num_trials, study.objective.metric, chance)
    conclusion = _conclusion(after, names, trials, study.objective.metric, chance)
    counts = {split: {name: 40 + place for place, name in enumerate(names)} for split in ("train", "test")}
    card = {"counts": counts, "image_shape": [28, 28, 1], "sha256": "ab" * 32, "duplicates": DUPLICATES}
    images = chance.integers(0, 256, (6, 28, 28, 1)).astype(np.uint8)
    mistakes = [(image, place % len(names), (place + 1) % len(names)) for place, image in enumerate(images)]
    return Findings(study, card, trials, curves, conclusion, mistakes)


def _search(
    arms: list[str], number: int, metric: str, chance: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows: list[dict[str, Any]] = []
    curves: list[dict[str, Any]] = []
    for arm in arms:
        for index in range(number):
            rate, model = 10 ** chance.uniform(-4, -2), str(chance.choice(["mlp", "cnn"]))
            state = "failed" if index == 5 else "pruned" if index % 3 == 2 else "complete"
            epochs = {"complete": 6, "pruned": 2, "failed": 1}[state]
            top = 0.985 - 0.02 * abs(np.log10(rate) + 3) + 0.004 * (model == "cnn") + chance.normal(0, 0.001)
            accuracies = [float(top - 0.08 * 0.5**epoch) for epoch in range(epochs)]
            steps = [
                {"loss": 4 * (1 - a), "accuracy": a, "val_loss": 3 * (1 - a), "val_accuracy": a}
                for a in accuracies
            ]
            curves += [{"arm": arm, "number": index, "epoch": e + 1, **step} for e, step in enumerate(steps)]
            rows.append(
                {
                    "arm": arm,
                    "number": index,
                    "state": state,
                    "learning_rate": rate,
                    "batch_size": int(chance.choice([32, 64, 128])),
                    "dropout": chance.uniform(0, 0.5),
                    "model": model,
                    "filters": float(chance.integers(8, 65)) if model == "cnn" else np.nan,
                    "epochs": epochs,
                    **steps[-1],
                    "score": np.nan if state == "failed" else steps[-1][metric],
                    "reason": "loss is NaN" if state == "failed" else "",
                }
            )
    return pd.DataFrame(rows), pd.DataFrame(curves)


def _conclusion(
    after: list[float], names: list[str], trials: pd.DataFrame, metric: str, chance: np.random.Generator
) -> dict[str, Any]:
    plain = {**DEFAULTS, "epochs": 6}
    complete = trials[trials["state"] == "complete"]
    best = complete.loc[complete.groupby("arm", sort=False)["score"].idxmax()]
    candidates = [
        {
            "arm": row["arm"],
            "number": row["number"],
            "configuration": {**plain, **{key: row[key] for key in SEARCHED if not pd.isna(row[key])}},
            "search_score": row["score"],
            "scores": scores,
            "val_score": interval(scores).as_dict(),
            "optimism": row["score"] - float(np.mean(scores)),
        }
        for row, scores in zip(best.to_dict("records"), [AFTER, NEXT, *[BEFORE] * 40], strict=False)
    ]
    parts = Components.paired(after, BEFORE)
    winner = {**candidates[0], **_side(candidates[0]["configuration"], after, names, chance)}
    return {
        "objective": metric,
        "repeats": 5,
        "num_test": 10_000,
        "classes": names,
        "candidates": candidates,
        "baseline": _side(plain, BEFORE, names, chance),
        "winner": winner,
        "difference": paired_interval(after, BEFORE).as_dict(),
        "resolution": resolution(parts, parts.mean).as_dict(),
        "mcnemar": {"only_winner_right": 60, "only_baseline_right": 41, "p_value": 0.0726},
        "champion": {"granted": True, "reason": "its interval lies above the baseline"},
    }


def _side(
    configuration: dict[str, Any], accuracies: list[float], names: list[str], chance: np.random.Generator
) -> dict[str, Any]:
    labels = np.repeat(np.arange(len(names)), 100)
    predicted = []
    for accuracy in accuracies:
        slips = chance.random(len(labels)) > accuracy
        predicted.append(np.where(slips, (labels * 3 + 1) % len(names), labels))
    repeats = [confusion(labels, one, len(names)) for one in predicted]
    rows = [
        {
            "class": names[row.index],
            "precision": row.precision.as_dict(),
            "recall": row.recall.as_dict(),
            "support": row.support,
        }
        for row in per_class(labels, predicted, len(names))
    ]
    return {
        "configuration": configuration,
        "scores": accuracies,
        "val_score": interval(accuracies).as_dict(),
        "test_accuracy": interval(accuracies).as_dict(),
        "test_accuracies": accuracies,
        "test_loss": interval([3 * (1 - accuracy) for accuracy in accuracies]).as_dict(),
        "confusion": np.sum(repeats, axis=0).tolist(),
        "per_class": rows,
        "is_deterministic": False,
    }


def test_an_improvement_is_told_with_its_interval() -> None:
    """The answer names both accuracies, the gain in points and its interval over seeds."""
    assert answer(made(compare=FIXED)) == (
        "Tuning took the test accuracy from 97.74 % to 98.41 % "
        "(+0.67 points, 95 % interval +0.64 to +0.71 over 5 seeds and 10,000 test images). "
        "5 seeds and 10,000 test images resolve true differences from 0.05 points on, "
        "in four studies of five."
    )


def test_longer_training_is_told() -> None:
    """A gain that may be owed to more epochs is not left to the reader to find."""
    findings = made(compare=FIXED)
    findings.conclusion["winner"]["configuration"]["epochs"] = 12
    assert answer(findings).endswith("The winner trains for 12 epochs, the baseline for 6.")


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


def test_arms_are_compared_seed_by_seed() -> None:
    """The answer gives the paired interval between the arms' best candidates, as scipy has it."""
    reference = stats.ttest_rel(AFTER, NEXT).confidence_interval(0.95)
    told = answer(made()).split("of five. ", 1)[1]
    assert told.startswith("Compared by engine, the best candidate of optuna confirmed better than that of")
    assert f"interval {100 * reference.low:+.2f} to {100 * reference.high:+.2f}, paired over 5" in told
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
    findings.conclusion["candidates"][1]["scores"] = AFTER
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
    assert str(metrics(findings.conclusion)["optimism"]) == "0.0"
