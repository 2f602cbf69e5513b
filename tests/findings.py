"""Findings of a study that never was, for the tests of what is told of findings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from fakes import DEFAULTS, parse

from pipeline.report import Findings
from pipeline.statistics import Components, confusion, interval, paired_interval, per_class, resolution
from pipeline.study import Study

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
    conclusion = _conclusion(after, names, trials, study, chance)
    counts = {split: {name: 40 + place for place, name in enumerate(names)} for split in ("train", "test")}
    card = {"counts": counts, "image_shape": [28, 28, 1], "sha256": "ab" * 32, "duplicates": DUPLICATES}
    images = chance.integers(0, 256, (6, 28, 28, 1)).astype(np.uint8)
    mistakes = [(image, place % len(names), (place + 1) % len(names)) for place, image in enumerate(images)]
    return Findings(study, card, trials, curves, conclusion, mistakes)


def _search(
    arms: list[str], number: int, metric: str, chance: np.random.Generator
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, curves = list[dict[str, Any]](), list[dict[str, Any]]()
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
    after: list[float], names: list[str], trials: pd.DataFrame, study: Study, chance: np.random.Generator
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
            "over_baseline": paired_interval(scores, BEFORE).as_dict(),
        }
        for row, scores in zip(best.to_dict("records"), [AFTER, NEXT, *[BEFORE] * 40], strict=False)
    ]
    winner = {
        **candidates[0],
        **_side(candidates[0]["configuration"], after, names, chance),
        "is_retrained": False,
    }
    return {
        "objective": study.objective.metric,
        "repeats": 5,
        "num_test": 10_000,
        "classes": names,
        "candidates": candidates,
        "baseline": _side(plain, BEFORE, names, chance),
        "winner": winner,
        "search_best": {**candidates[0], "is_first": True},
        "difference": paired_interval(after, BEFORE).as_dict(),
        "resolution": _resolved(after, BEFORE),
        "parts": None,
        "compared_over": "seeds and inputs",
        "arms": _leads(study, candidates),
        "budgets": {},
        "mcnemar": {"only_winner_right": 60, "only_baseline_right": 41, "p_value": 0.0726},
        "champion": {"granted": True, "reason": "its interval lies above the baseline"},
    }


def _resolved(a: list[float], b: list[float]) -> dict[str, Any]:
    parts = Components.paired(a, b)
    return resolution(parts, parts.mean).as_dict()


def _leads(study: Study, candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    leaders = {row["arm"]: row["scores"] for row in reversed(candidates)}
    order = sorted(leaders, key=lambda arm: -float(np.mean(leaders[arm])))
    return [
        {
            "at": at,
            "best": best,
            "ahead_of": {one: paired_interval(leaders[best], leaders[one]).as_dict() for one in others},
            "resolution": {one: _resolved(leaders[best], leaders[one]) for one in others},
        }
        for at, arms in study.rivals.items()
        for best, *others in [[arm for arm in order if arm in arms]]
        if len(arms) > 1
    ]


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
        "median_repeat": 2,
    }
