"""Everything that a report is made from, and the few numbers of it that DVC compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.data import KINDS
from pipeline.study import Study

DIGITS = 6


@dataclass(frozen=True)
class Findings:
    """What the stages of one study have found.

    Attributes:
        card: the data card: counts per split and class, image_shape, sha256, duplicates.
        trials: arm, number, state, a column per searched hyperparameter (empty where it does not count),
            epochs (trained), the learner's metrics, score, reason.
        curves: arm, number, epoch, the learner's metrics.
        conclusion: what the confirm stage concluded; candidates come best first, the first is the winner.
        mistakes: test images that the winner gets wrong, each (height, width, channels), uint8, 0-255, with
            its true and its predicted class; few.
    """

    study: Study
    card: Mapping[str, Any]
    trials: pd.DataFrame
    curves: pd.DataFrame
    conclusion: Mapping[str, Any]
    mistakes: Sequence[tuple[npt.NDArray[np.uint8], int, int]]

    @property
    def metric(self) -> str:
        """The objective's metric."""
        return self.study.objective.metric

    @property
    def metric_name(self) -> str:
        """The objective's metric in words: of val_accuracy "validation accuracy"."""
        word = self.metric.removeprefix("val_").replace("_", " ")
        if self.metric.startswith("val_"):
            return f"validation {word}"
        return f"training {word}" if f"val_{self.metric}" in self.study.learner.metrics else word

    @property
    def classes(self) -> list[str]:
        """The classes' names, in the order of their indices."""
        return [str(name) for name in self.conclusion["classes"]]

    @property
    def arms(self) -> list[str]:
        """The arms' names, in the order of the study file."""
        return [arm.name for arm in self.study.arms]

    @property
    def noun(self) -> str:
        """What one input is called."""
        return KINDS[self.card.get("kind", "images")].noun

    def of_arm(self, arm: str) -> pd.DataFrame:
        """The trials of one arm."""
        return self.trials[self.trials["arm"] == arm]

    def complete(self) -> pd.DataFrame:
        """The trials that ran to their end."""
        return self.trials[self.trials["state"] == "complete"]

    def leaders(self) -> dict[str, Mapping[str, Any]]:
        """The best confirmed candidate of each arm that has one, best arm first."""
        first: dict[str, Mapping[str, Any]] = {}
        for candidate in self.conclusion["candidates"]:
            first.setdefault(str(candidate["arm"]), candidate)
        return first


def metrics(conclusion: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that `dvc metrics` shows, rounded; the winner's configuration stays exact."""
    winner, parts = conclusion["winner"], conclusion["parts"]
    return {
        "baseline": {"test_accuracy": _rounded(conclusion["baseline"]["test_accuracy"])},
        "winner": {
            "test_accuracy": _rounded(winner["test_accuracy"]),
            "configuration": dict(winner["configuration"]),
        },
        "difference": _rounded(conclusion["difference"]),
        # What the search promised too much of its own best, and of the best that fresh seeds chose.
        "optimism": _rounded({one: conclusion[one]["optimism"] for one in ("search_best", "winner")}),
        **({"parts": {part: _rounded(parts[part]) for part in ("longer", "tuning")}} if parts else {}),
    }


def _rounded(numbers: Mapping[str, float]) -> dict[str, float]:
    # Adding 0 turns a rounded -0.0 into 0.0.
    return {name: round(float(number), DIGITS) + 0.0 for name, number in numbers.items()}
