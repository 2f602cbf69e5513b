"""How good the best of so many random trials is expected to be, with a band for all numbers at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from opda.nonparametric import EmpiricalDistribution

from pipeline.statistics.intervals import CONFIDENCE, Floats


@dataclass(frozen=True)
class TuningCurve:
    """The best score of 1, 2, ... random trials: (num_trials,) each.

    Attributes:
        middle: its mean, where the score has two finite ends, else its median.
        low, high: the ends of the simultaneous 95 % band; infinite where the score may be.
        is_mean: whether `middle` is the mean.
    """

    middle: Floats
    low: Floats
    high: Floats
    is_mean: bool


def tuning_curve(
    scores: Sequence[float] | Floats, is_maximized: bool, low: float, high: float
) -> TuningCurve:
    """The best score that a search of 1 to `len(scores)` trials is expected to find.

    The band's distribution functions lie around the empirical one everywhere at once; the best of n has the
    n-th power of a distribution function. Scores may tie: the band then holds more often.

    Args:
        scores: of complete trials that were drawn independently from one distribution, at least 1.
        is_maximized: whether the best is the largest.
        low, high: the ends of what a score may be.

    Source: Lourie, Cho and He (2023), Show your work with confidence, arXiv:2311.09480, section 3; the
    constant is that of Massart (1990), The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality.
    """
    sample = np.asarray(scores, dtype=np.float64)
    ends = min(low, float(sample.min())), max(high, float(sample.max()))
    is_mean, numbers = bool(np.isfinite(ends).all()), np.arange(1, sample.size + 1)

    def curve(one: EmpiricalDistribution) -> Floats:
        of = one.average_tuning_curve if is_mean else one.quantile_tuning_curve
        return np.asarray(of(numbers, minimize=not is_maximized), dtype=np.float64)

    below, middle, above = map(
        curve, EmpiricalDistribution.confidence_bands(sample, CONFIDENCE, *ends, method="dkw")
    )
    # A larger distribution function has smaller values.
    return TuningCurve(middle, above, below, is_mean)
