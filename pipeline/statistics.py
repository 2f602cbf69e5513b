"""Numbers with their uncertainty: intervals over seeds, two models on one test split, per-class rates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_resolved(self) -> bool:
        """Whether 0 lies outside: read for the interval of a difference."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, float]:
        """The JSON value {"mean", "low", "high"}."""
        return asdict(self)


@dataclass(frozen=True)
class McNemar:
    """Two models on the same images: where only one of them is right, and the exact p-value."""

    only_a_right: int
    only_b_right: int
    p_value: float


@dataclass(frozen=True)
class ClassScores:
    """Precision and recall of the class with this index; `support` is its images in one repeat."""

    index: int
    precision: Interval
    recall: Interval
    support: int


def interval(values: Sequence[float] | Floats) -> Interval:
    """The 95 % interval of the mean.

    Args:
        values: at least 2 finite numbers, independent of each other.
    Raises:
        ValueError: there are fewer, or one is not finite.

    Source: Student (1908), The probable error of a mean.
    """
    sample = _sample(values)
    if np.ptp(sample) == 0:
        return _around(float(sample[0]), 0.0)
    error = float(sample.std(ddof=1)) / math.sqrt(sample.size)
    return _around(float(sample.mean()), _quantile(sample.size - 1) * error)


def paired_interval(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Interval:
    """The 95 % interval of the mean of a - b, where a[i] and b[i] share a seed.

    Raises:
        ValueError: the lengths differ, or `interval` refuses the differences.
    """
    first, second = _sample(a), _sample(b)
    if first.size != second.size:
        raise ValueError(f"pairs must be whole. Received: {first.size} and {second.size} values.")
    return interval(first - second)


def welch_interval(a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Interval:
    """The 95 % interval of mean(a) - mean(b), where nothing pairs the values and the spreads may differ.

    Raises:
        ValueError: a sample has fewer than 2 values, or one is not finite.

    Source: Welch (1947), The generalization of "Student's" problem when several different population
    variances are involved.
    """
    first, second = interval(a), interval(b)
    difference = first.mean - second.mean
    parts = [_squared_error(_sample(a)), _squared_error(_sample(b))]
    total = sum(parts)
    if total == 0:
        return _around(difference, 0.0)
    # Shares of the whole, because the squares of small spreads would vanish in floating point.
    freedom = 1 / sum((part / total) ** 2 / (len(v) - 1) for part, v in zip(parts, (a, b), strict=True))
    return _around(difference, _quantile(freedom) * math.sqrt(total))


def mcnemar(labels: Integers, predicted_a: Integers, predicted_b: Integers) -> McNemar:
    """Whether two models err alike on the same images: the exact two-sided test.

    Args:
        labels: (num_images,), the true classes.
        predicted_a: (num_images,), one model's classes.
        predicted_b: (num_images,), the other's.

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
    """How many images of each class were taken for each class.

    Args:
        labels: (num_images,), true classes in [0, num_classes).
        predicted: (num_images,), predicted classes in [0, num_classes).
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


def per_class(confusions: Sequence[Integers]) -> list[ClassScores]:
    """Precision and recall of each class, with their 95 % intervals over repeats.

    Args:
        confusions: at least 2 of (num_classes, num_classes), [true, predicted], over the same images.
    Returns:
        One for each class, in order; a rate with nothing to count is 0.
    """
    stacked = np.stack(confusions)
    right = np.diagonal(stacked, axis1=1, axis2=2)
    precision, recall = _share(right, stacked.sum(axis=1)), _share(right, stacked.sum(axis=2))
    return [
        ClassScores(
            index, interval(precision[:, index]), interval(recall[:, index]), int(stacked[0, index].sum())
        )
        for index in range(stacked.shape[1])
    ]


def _sample(values: Sequence[float] | Floats) -> Floats:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or sample.size < 2 or not np.isfinite(sample).all():
        raise ValueError(f"an interval needs at least 2 finite numbers. Received: {values!r}.")
    return sample


def _around(mean: float, half: float) -> Interval:
    return Interval(mean, mean - half, mean + half)


def _quantile(freedom: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def _squared_error(sample: Floats) -> float:
    # The spread of equal values can be a rounding error above 0.
    return 0.0 if np.ptp(sample) == 0 else float(sample.var(ddof=1)) / sample.size


def _share(part: Integers, whole: Integers) -> Floats:
    return np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0)
