"""Everything that a report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.study import Study


@dataclass(frozen=True)
class Findings:
    """What the stages of one study left behind.

    Attributes:
        card: the data card: counts per split and class, image_shape, sha256, duplicates.
        baseline: repeat, state, epochs, loss, accuracy, val_loss, val_accuracy.
        trials: arm, number, state, a column per searched hyperparameter (empty where it does not count),
            epochs (trained), loss, accuracy, val_loss, val_accuracy, score, reason.
        curves: arm, number, epoch, loss, accuracy, val_loss, val_accuracy.
        confirm: role, arm, number, repeat, every hyperparameter, val_loss, val_accuracy, score,
            test_accuracy, test_loss; the last two for the baseline and the winner only.
        evidence: what the confirm stage concluded; candidates come best first, the first is the winner.
        misclassified_images: (num_images, height, width, channels), uint8, 0-255; few.
        misclassified_labels: (num_images,), int64, true classes.
        misclassified_predicted: (num_images,), int64, the winner's classes.
    """

    study: Study
    card: Mapping[str, Any]
    baseline: pd.DataFrame
    trials: pd.DataFrame
    curves: pd.DataFrame
    confirm: pd.DataFrame
    evidence: Mapping[str, Any]
    misclassified_images: npt.NDArray[np.uint8]
    misclassified_labels: npt.NDArray[np.int64]
    misclassified_predicted: npt.NDArray[np.int64]

    @property
    def metric(self) -> str:
        """The objective's metric."""
        return self.study.objective.metric

    @property
    def classes(self) -> list[str]:
        """The classes' names, in the order of their indices."""
        return [str(name) for name in self.evidence["classes"]]

    @property
    def arms(self) -> list[str]:
        """The arms' names, in the order of the study file."""
        return [arm.name for arm in self.study.arms]

    def of_arm(self, frame: pd.DataFrame, arm: str) -> pd.DataFrame:
        """The rows of one arm; a CSV file may have made numbers of the arms' names."""
        return frame[frame["arm"].astype(str) == arm]

    def complete(self) -> pd.DataFrame:
        """The trials that ran to their end."""
        return self.trials[self.trials["state"] == "complete"]

    def leaders(self) -> dict[str, Mapping[str, Any]]:
        """The best confirmed candidate of each arm that has one, best arm first."""
        first: dict[str, Mapping[str, Any]] = {}
        for candidate in self.evidence["candidates"]:
            first.setdefault(str(candidate["arm"]), candidate)
        return first
