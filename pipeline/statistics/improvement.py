"""How likely one procedure is to beat another, from runs of both that nothing pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from pipeline.statistics.intervals import CONFIDENCE
from pipeline.statistics.resolution import POWER

# With fewer runs of each the probability is next to unknown.
FEWEST_RUNS = 6


def improvement(a: Sequence[float], b: Sequence[float]) -> dict[str, Any] | None:
    """P(a > b), ties counted half, with its 95 % interval; None for fewer than 6 runs of one.

    Returns:
        mean, low, high: the probability and its interval.
        num_runs: how many of each would tell such a probability from a half; None where it is a half.

    Source: Bouthillier et al. (2021), Accounting for variance in machine learning benchmarks, section 4
    (the probability); Brunner and Munzel (2000), The nonparametric Behrens-Fisher problem (its variance);
    Noether (1987), Sample size determination for some common nonparametric tests (how many).
    """
    size, other = len(a), len(b)
    if min(size, other) < FEWEST_RUNS:
        return None
    ranks = stats.rankdata([*a, *b])
    own = [stats.rankdata(one) for one in (a, b)]
    places = ranks[:size] - own[0], ranks[size:] - own[1]
    mean = float(places[0].mean()) / other
    spreads = [float(np.var(one, ddof=1)) for one in places]
    parts = [spreads[0] / (size * other**2), spreads[1] / (other * size**2)]
    variance = sum(parts)
    # Of so many disjoint pairs all would have gone one way: a bound, where the runs show no spread.
    half = 1 - ((1 - CONFIDENCE) / 2) ** (1 / min(size, other))
    if variance > 0:
        freedom = variance**2 / sum(
            part**2 / (count - 1) for part, count in zip(parts, (size, other), strict=True)
        )
        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance)
    needed = stats.norm.ppf((1 + CONFIDENCE) / 2) + stats.norm.ppf(POWER)
    num_runs = math.ceil(needed**2 / (6 * (mean - 0.5) ** 2)) if mean != 0.5 else None
    return {"mean": mean, "low": max(0.0, mean - half), "high": min(1.0, mean + half), "num_runs": num_runs}
