"""How small a difference a comparison can tell from none, and how many seeds a smaller one would take."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from scipy import special, stats

from pipeline.statistics.intervals import CONFIDENCE, Components

POWER = 0.8
# More than anybody trains.
MOST_SEEDS = 10_000
# With so many degrees of freedom Student's t is the normal distribution, to more digits than are told.
NORMAL = 1e7


@dataclass(frozen=True)
class Resolution:
    """What a comparison can tell from no difference.

    Attributes:
        smallest: the difference that it resolves, at 95 %, with power 0.8.
        limit: the one that it would resolve with any number of seeds: the rest is the choice of the inputs.
        num_seeds: how many seeds of each model would resolve a difference of the size that was asked for;
            None: not even `MOST_SEEDS` would.
    """

    smallest: float
    limit: float
    num_seeds: int | None

    def as_dict(self) -> dict[str, float | int | None]:
        """The JSON value {"smallest", "limit", "num_seeds"}."""
        return asdict(self)


def resolution(parts: Components, difference: float) -> Resolution:
    """What a comparison with this variance resolves, and what one of this size would take."""
    limit = smallest_difference(parts.at(math.inf))
    return Resolution(smallest_difference(parts), limit, seeds_for(parts, difference))


def smallest_difference(parts: Components, power: float = POWER) -> float:
    """The true difference whose 95 % interval leaves 0 out with this power: that of a two-sided t test.

    The variance counts as known to be what it is estimated as. It says what the study could see, whatever it
    has seen: unlike the power at the difference that was observed, it is no other form of the p-value.

    Source: Cohen (1988), Statistical power analysis for the behavioral sciences, chapter 2; Bloom (1995),
    Minimum detectable effects. Against the power at what was observed: Hoenig and Heisey (2001), The abuse
    of power.
    """
    return _standardised(parts.freedom, power) * math.sqrt(parts.variance)


def seeds_for(parts: Components, difference: float, power: float = POWER) -> int | None:
    """With how many seeds of each model, 2 at least, a true difference of this size would be resolved.

    None where `MOST_SEEDS` would not be enough.
    """

    def resolves(num_seeds: float) -> bool:
        return smallest_difference(parts.at(num_seeds), power) <= abs(difference)

    if not resolves(MOST_SEEDS):
        return None
    # Too few, and enough.
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if resolves(middle) else (middle, high)
    return high


def _standardised(freedom: float, power: float) -> float:
    """The smallest difference in units of its standard error: the noncentrality at which t has this power.

    That an estimate of the wrong sign is resolved is left out: it happens one time in a million at most.
    """
    freedom = min(freedom, NORMAL)
    return float(special.nctdtrinc(freedom, 1 - power, stats.t.ppf((1 + CONFIDENCE) / 2, freedom)))
