"""Means with their 95 % intervals: over seeds, and over seeds and inputs at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

CONFIDENCE = 0.95
# The largest exponent: a mean that is hardly known reaches from end to end.
MOST = 500.0
Floats = npt.NDArray[np.float64]
# Which values a mean can have: a share 0 to 1, a loss nothing below 0.
Bounds = Literal["share", "positive", "any"]


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


@dataclass(frozen=True)
class Components:
    """A mean over seeds and inputs, or the difference of two models' means, and the parts of its variance.

    Attributes:
        inputs: what the choice of the inputs adds; 0 where there is none.
        seeds: what the seeds of each model add.
        chance: what the chance in single answers adds, of each model: it stands in both of the above.
        num_inputs: how many inputs there are; infinitely many where their choice adds nothing.
        num_seeds: how many seeds each model has.

    Source: Searle, Casella and McCulloch (1992), Variance Components, section 4.4.
    """

    mean: float
    inputs: float
    seeds: tuple[float, ...]
    chance: tuple[float, ...]
    num_inputs: float
    num_seeds: tuple[float, ...]

    @classmethod
    def of(cls, a: Floats, b: Floats | None = None) -> Components:
        """Of one model's (num_seeds, num_inputs) numbers, or of a minus b on the same inputs.

        Raises:
            ValueError: there are fewer than 2 seeds or inputs, or a number is not finite.
        """
        models = [_matrix(one) for one in (a, b) if one is not None]
        inputs = models[0].mean(axis=0) - (models[1].mean(axis=0) if len(models) > 1 else 0.0)
        return cls(
            float(inputs.mean()),
            _squared_error(inputs),
            tuple(_squared_error(one.mean(axis=1)) for one in models),
            tuple(map(_unexplained, models)),
            inputs.size,
            tuple(map(len, models)),
        )

    @classmethod
    def paired(cls, a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Components:
        """Of the mean of a - b over seeds alone, where a[i] and b[i] share a seed."""
        differences = _sample(_sample(a) - _sample(b))
        error = _squared_error(differences)
        return cls(float(differences.mean()), 0.0, (error,), (0.0,), math.inf, (differences.size,))

    @classmethod
    def unpaired(cls, a: Sequence[float] | Floats, b: Sequence[float] | Floats) -> Components:
        """Of mean(a) - mean(b) over seeds alone, where nothing pairs them: Welch's."""
        pair = (_sample(a), _sample(b))
        errors, counts = tuple(map(_squared_error, pair)), tuple(float(one.size) for one in pair)
        difference = float(pair[0].mean() - pair[1].mean())
        return cls(difference, 0.0, errors, (0.0, 0.0), math.inf, counts)

    @property
    def variance(self) -> float:
        """Of the mean: what neither factor explains alone stands in both of them."""
        sizes = (self.inputs, *self.seeds)
        return max(sum(sizes) - sum(self.chance), *sizes)

    @property
    def freedom(self) -> float:
        """The degrees of freedom of the variance.

        What is subtracted in it is known with so much freedom that it adds nothing to the variance's spread.

        Source: Satterthwaite (1946), An approximate distribution of estimates of variance components.
        """
        sizes, counts = (self.inputs, *self.seeds), (self.num_inputs, *self.num_seeds)
        spread = sum(size**2 / (count - 1) for size, count in zip(sizes, counts, strict=True))
        return float(self.variance**2 / spread) if spread > 0 else math.inf

    def interval(self, bounds: Bounds = "any") -> Interval:
        """The 95 % interval of the mean."""
        half = _quantile(self.freedom) * math.sqrt(self.variance)
        # Without inputs there is no share of them.
        num_inputs = int(self.num_inputs) if math.isfinite(self.num_inputs) else 0
        return _bounded(self.mean, half, bounds, num_inputs)

    def at(self, num_seeds: float) -> Components:
        """What they would be with so many seeds of each model, infinitely many included."""
        seeds, chance = (
            tuple(part * had / num_seeds for part, had in zip(parts, self.num_seeds, strict=True))
            for parts in (self.seeds, self.chance)
        )
        inputs = max(self.inputs - sum(self.chance), 0.0) + sum(chance)
        counts = tuple(num_seeds for _ in seeds)
        return replace(self, inputs=inputs, seeds=seeds, chance=chance, num_seeds=counts)


def crossed_interval(a: Floats, b: Floats | None = None, bounds: Bounds = "any") -> Interval:
    """The 95 % interval of the mean of `a`, or of mean(a) - mean(b): over other seeds and other inputs.

    A model that no seed changes has an interval too: of the inputs alone.

    Args:
        a: (num_seeds, num_inputs), what each repeat gave for each input: 1.0 where it is right, a loss, ...
        b: (num_seeds, num_inputs) of another model on the same inputs; its seeds are its own.
        bounds: the range of the mean, which the interval respects; of a difference "any".
    Raises:
        ValueError: there are fewer than 2 seeds or inputs, or a number is not finite.

    Source: the variance of a mean over two crossed random factors, from its components: Searle, Casella and
    McCulloch (1992), Variance Components, section 4.4; freedom by Satterthwaite (1946), An approximate
    distribution of estimates of variance components. What is asked is what the multi-bootstrap of Sellam et
    al. (2022), The MultiBERTs, asks: unpaired seeds, shared inputs; it needs more than 5 seeds to be exact.
    """
    return Components.of(a, b).interval(bounds)


def shares_interval(a: float, b: float, num_inputs: int) -> Interval:
    """The 95 % interval of the difference of two shares of equally many inputs, as if none was shared.

    Where the inputs are shared it is wider than need be.

    Source: Newcombe (1998), Interval estimation for the difference between independent proportions, method 1.
    """
    error = math.sqrt(sum(share * (1 - share) for share in (a, b)) / num_inputs)
    return _around(a - b, _quantile(math.inf) * error)


def median_place(scores: Sequence[float], is_maximized: bool) -> int:
    """The place of the median; of an even number the worse of the two in the middle, of equals the later.

    Raises:
        ValueError: there is none.
    """
    if not scores:
        raise ValueError("a median needs at least one score.")
    sign = -1 if is_maximized else 1
    return sorted(range(len(scores)), key=lambda place: (sign * scores[place], place))[len(scores) // 2]


def _matrix(values: Floats) -> Floats:
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 2 or min(found.shape) < 2 or not np.isfinite(found).all():
        raise ValueError(f"at least 2 seeds and 2 inputs are needed, all finite. Received: {found.shape}.")
    return found


def _unexplained(values: Floats) -> float:
    """What interaction and noise add to the variance of the mean of (num_seeds, num_inputs)."""
    num_seeds, num_inputs = values.shape
    rest = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    count: int = (num_seeds - 1) * (num_inputs - 1) * values.size
    return float(np.square(rest).sum()) / count


def _bounded(mean: float, half: float, bounds: Bounds, num_inputs: int) -> Interval:
    """The interval on the scale on which the mean has no bounds: log odds of a share, log of a loss."""
    if bounds == "share" and mean in (0.0, 1.0):
        # Nothing varied: the exact interval of a share that was met always, or never.
        reach = 1 - ((1 - CONFIDENCE) / 2) ** (1 / num_inputs)
        return Interval(mean, *((0.0, reach) if mean == 0.0 else (1 - reach, 1.0)))
    if bounds == "share" and 0 < mean < 1:
        step, odds = math.exp(min(half / (mean * (1 - mean)), MOST)), mean / (1 - mean)
        return Interval(mean, 1 / (1 + step / odds), 1 / (1 + 1 / (step * odds)))
    if bounds == "positive" and mean > 0:
        step = math.exp(min(half / mean, MOST))
        return Interval(mean, mean / step, mean * step)
    return _around(mean, half)


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
