"""What models answer, counted: for each input, for each class, and of two models on the same inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from pipeline.statistics.intervals import Floats, Interval, crossed_interval, interval

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class McNemar:
    """Two models on the same inputs: where only one of them is right, and the exact p-value."""

    only_a_right: int
    only_b_right: int
    p_value: float


@dataclass(frozen=True)
class ClassScores:
    """Precision and recall of the class with this index; `support` is its inputs."""

    index: int
    precision: Interval
    recall: Interval
    support: int


def per_input(metric: str, labels: Integers, predicted: Integers) -> Floats:
    """What each input adds to a metric of one model's answers: numbers whose mean is the metric.

    Args:
        metric: "accuracy", "balanced_accuracy" or "macro_f1".
        labels: (num_inputs,), the true classes.
        predicted: (num_inputs,), the model's.
    Returns:
        (num_inputs,). Of macro F1, which is no mean, its linear part around the answers as they are.

    Source: the influence function: Hampel (1974), The influence curve and its role in robust estimation.
    """
    right = np.asarray(labels == predicted, dtype=np.float64)
    if metric == "accuracy":
        return right
    num_classes = int(max(labels.max(), predicted.max())) + 1
    true, said = (np.bincount(one, minlength=num_classes) for one in (labels, predicted))
    if metric == "balanced_accuracy":
        weights: Floats = labels.size / (true[labels] * np.count_nonzero(true))
        return right * weights
    hits = np.bincount(labels, weights=right, minlength=num_classes)
    both = true + said
    is_met = both > 0
    score = np.divide(2 * hits, both, out=np.zeros(num_classes), where=is_met)
    scale = labels.size / (np.maximum(both, 1) * np.count_nonzero(is_met))
    around: Floats = 2 * right * scale[labels] - (score * scale)[labels] - (score * scale)[predicted]
    return around + float(score[is_met].mean())


def mcnemar(labels: Integers, predicted_a: Integers, predicted_b: Integers) -> McNemar:
    """Whether two models err alike on the same inputs: the exact two-sided test.

    Args:
        labels: (num_inputs,), the true classes.
        predicted_a: (num_inputs,), one model's classes.
        predicted_b: (num_inputs,), the other's.

    Source: McNemar (1947), Note on the sampling error of the difference between correlated proportions;
    the exact binomial form.
    """
    a_right, b_right = predicted_a == labels, predicted_b == labels
    only_a = int(np.count_nonzero(a_right & ~b_right))
    only_b = int(np.count_nonzero(b_right & ~a_right))
    if only_a + only_b == 0:
        return McNemar(0, 0, 1.0)
    return McNemar(only_a, only_b, float(stats.binomtest(only_a, only_a + only_b).pvalue))


def confusion(labels: Integers, predicted: Integers, num_classes: int) -> Integers:
    """How many inputs of each class were taken for each class.

    Args:
        labels: (num_inputs,), true classes in [0, num_classes).
        predicted: (num_inputs,), predicted classes in [0, num_classes).
        num_classes: the length of both axes of the answer.
    Returns:
        (num_classes, num_classes), int64, [true, predicted].
    Raises:
        ValueError: the lengths differ, or a class is out of range.
    """
    if labels.shape != predicted.shape:
        raise ValueError(f"one prediction per label. Received: {predicted.shape} for {labels.shape}.")
    both = np.concatenate([labels, predicted])
    if both.size and not 0 <= both.min() <= both.max() < num_classes:
        raise ValueError(f"classes must be in [0, {num_classes}). Received: {both.min()} to {both.max()}.")
    cells = labels.astype(np.int64) * num_classes + predicted.astype(np.int64)
    counts = np.bincount(cells, minlength=num_classes**2)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def per_class(labels: Integers, predicted: Sequence[Integers], num_classes: int) -> list[ClassScores]:
    """Precision and recall of each class, with their 95 % intervals over seeds and inputs.

    Args:
        labels: (num_inputs,), the true classes.
        predicted: at least 2 of (num_inputs,), the classes that each repeat answers.
    Returns:
        One for each class, in order; a rate with nothing to count is 0.
    """
    answers = np.stack(predicted)
    found = []
    for index in range(num_classes):
        is_true = np.broadcast_to(labels == index, answers.shape)
        precision, recall = (_rate(is_true & (answers == index), of) for of in (answers == index, is_true))
        found.append(ClassScores(index, precision, recall, int(is_true[0].sum())))
    return found


def _rate(part: npt.NDArray[np.bool_], whole: npt.NDArray[np.bool_]) -> Interval:
    """The mean over repeats of the share of `whole` that is in `part`, each (num_repeats, num_inputs)."""
    sizes = whole.sum(axis=1)
    shares = np.divide(part.sum(axis=1), sizes, out=np.zeros(len(sizes)), where=sizes > 0)
    if shares.mean() in (0.0, 1.0):
        # Of as many inputs as the repeat that has the fewest counts.
        return crossed_interval(np.full((2, max(int(sizes.min()), 2)), shares.mean()), bounds="share")
    if not sizes.all():
        # A class that some repeats never answer.
        return interval(shares)
    scale = whole.shape[1] / sizes[:, None]
    return crossed_interval(shares[:, None] + (part - shares[:, None] * whole) * scale, bounds="share")
