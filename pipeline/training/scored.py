"""A program whose epochs report one metric more: of the answers on val, where the objective asks for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.training.program import Program
from pipeline.trial import Metrics

Labels = NDArray[np.int64]


def macro_f1(labels: Labels, answered: Labels) -> float:
    """The mean F1 over the classes that are true or answered somewhere, in [0, 1]; each counts alike.

    Source: Sokolova and Lapalme (2009), "A systematic analysis of performance measures for classification
        tasks", table 3, taken class by class as scikit-learn's `f1_score(average="macro")` does.
    """
    right, true, said = _counts(labels, answered)
    is_met = true + said > 0
    return float(np.mean(2 * right[is_met] / (true + said)[is_met]))


def balanced_accuracy(labels: Labels, answered: Labels) -> float:
    """The mean recall over the classes that are true somewhere, in [0, 1]; each counts alike.

    Source: Brodersen et al. (2010), "The balanced accuracy and its posterior distribution", section 2.
    """
    right, true, _ = _counts(labels, answered)
    return float(np.mean(right[true > 0] / true[true > 0]))


def _counts(labels: Labels, answered: Labels) -> tuple[Labels, Labels, Labels]:
    """By class how often it is answered rightly, is true, and is answered."""
    num_classes = int(max(labels.max(), answered.max())) + 1
    given = (labels[labels == answered], labels, answered)
    right, true, said = (np.bincount(one, minlength=num_classes) for one in given)
    return right, true, said


OF_CLASSES: Mapping[str, Callable[[Labels, Labels], float]] = {
    "macro_f1": macro_f1,
    "balanced_accuracy": balanced_accuracy,
}


def wrapped(program: Program, settings: Mapping[str, Any], val: tuple[NDArray[Any], Labels]) -> Program:
    """The program, with the metric that the settings' objective asks for beside the usual ones."""
    metric = settings["score"][0] if "score" in settings else ""
    return Scored(program, metric, val) if metric.removeprefix("val_") in OF_CLASSES else program


class Scored:
    """Trains as another program does, and answers val after each epoch.

    Args:
        metric: "val_" and a name of OF_CLASSES.
        val: inputs (num_inputs, ...) and labels (num_inputs,), int64.
    """

    def __init__(self, program: Program, metric: str, val: tuple[NDArray[Any], Labels]) -> None:
        self._program, self._metric, self._val = program, metric, val
        self.slots = program.slots
        self.start, self.predict = program.start, program.predict
        self.digest, self.save, self.drop = program.digest, program.save, program.drop

    def epochs(self, numbers: Sequence[int]) -> dict[int, Metrics]:
        """Train the first for one more epoch, and those that the same call can train."""
        return {number: self._with(number, its) for number, its in self._program.epochs(numbers).items()}

    def _with(self, number: int, metrics: Metrics) -> Metrics:
        inputs, labels = self._val
        answered = self._program.predict(number, inputs).argmax(axis=1)
        score = OF_CLASSES[self._metric.removeprefix("val_")]
        return {**metrics, self._metric: score(np.asarray(labels), answered)}
