"""Whether the space is wide enough: which hyperparameters the best trials push against an end of."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction

import pandas as pd
from scipy import stats

from pipeline.report.findings import Findings
from pipeline.report.tables import amount, setting
from pipeline.space import Hyperparameter, Range, Value

# Fewer complete trials have no best that differ from the rest.
FEWEST_TRIALS = 10
FEWEST_BEST = 3
BEST, EDGE = 0.1, 0.1
SIGNIFICANCE = 0.05
# An end that is moved goes on by this share of the range, on the scale that is searched.
FURTHER = 0.5
# Sums of steps and logarithms of ends are off by rounding.
ROUNDING = 1e-9


def width(findings: Findings) -> str:
    """Which ends the best trials crowd and where to move them, or that they crowd none.

    Looked at are the best tenth of the complete trials, 3 at least, and the outer tenth of each range at
    either end, on the scale that is searched; of values that can be counted, those in it, the end itself at
    least. An end is crowded where, were the values drawn uniformly, so many of the best would lie there in
    one search of twenty at most, all ends taken together: one-sided binomial, 0.05 divided by the number of
    ends (Bonferroni). A choice has no ends.

    Source: the binomial test, Conover (1999), Practical nonparametric statistics, section 3.1; Dunn (1961),
    Multiple comparisons among means.
    """
    # Those of one_at_a_time lie at the baseline's values, wherever in the space these are.
    drawn = [arm.name for arm in findings.study.arms if arm.sampler != "one_at_a_time"]
    trials = findings.complete().query("arm in @drawn")
    if not drawn:
        return "Changes of the baseline, each by itself, do not tell whether the space is wide enough."
    if len(trials) < FEWEST_TRIALS:
        few = f"{amount(len(trials), 'complete trial')} cannot tell whether the space is wide enough"
        return f"{few}; {FEWEST_TRIALS} are needed."
    best = trials.sort_values(
        ["score", "number"], ascending=[not findings.study.objective.is_maximized, True], kind="stable"
    ).head(max(FEWEST_BEST, math.ceil(BEST * len(trials))))
    told = list(_crowded(findings, best))
    of_best = f"the best {len(best)} of {len(trials):,} complete trials"
    if not told:
        return f"The space is wide enough, as far as {of_best} tell: they crowd no end of a searched range."
    return f"Of {of_best}, more lie near an end of the space than chance puts there: {'; '.join(told)}."


def _crowded(findings: Findings, best: pd.DataFrame) -> Iterator[str]:
    ranges = [(one.name, one.values) for one in findings.study.space if isinstance(one.values, Range)]
    level = SIGNIFICANCE / (2 * max(len(ranges), 1))
    known = findings.study.learner.hyperparameters
    for name, values in ranges:
        # Where it does not count there is no value.
        found = best[name].dropna().astype(float)
        for is_upper in (False, True):
            near = sum(is_near(values, value, is_upper) for value in found)
            if near and stats.binom.sf(near - 1, len(found), share_near(values, is_upper)) <= level:
                yield _told(name, values, is_upper, f"{near} of {len(found)}", known[name])


def _told(name: str, values: Range, is_upper: bool, count: str, known: Hyperparameter) -> str:
    end, to = values.ends[is_upper], moved(values, is_upper, known)
    which = "upper" if is_upper else "lower"
    where = f"{name} near its {which} end {setting(end)} ({count})"
    if to is None:
        return f"{where}, beyond which there is nothing"
    return f"{where}, which is worth moving to {setting(to)}"


def is_near(values: Range, value: float, is_upper: bool) -> bool:
    """Whether a value lies in the outer tenth of its range at this end."""
    place = _place(values, value)
    return (1 - place if is_upper else place) <= EDGE + ROUNDING


def share_near(values: Range, is_upper: bool) -> float:
    """The share of uniform draws that lie near this end."""
    if (count := values.num_points()) is not None:
        return (math.floor(EDGE * (count - 1) + ROUNDING) + 1) / count
    if not values.is_int:
        return EDGE
    # Whole numbers on a log scale: each stands for what is rounded to it.
    low, high = values.low, values.high
    edge = low * (high / low) ** (1 - EDGE if is_upper else EDGE)
    cut = math.ceil(edge - ROUNDING) - 0.5 if is_upper else math.floor(edge + ROUNDING) + 0.5
    below = math.log(cut / (low - 0.5)) / math.log((high + 0.5) / (low - 0.5))
    return 1 - below if is_upper else below


def moved(values: Range, is_upper: bool, known: Hyperparameter) -> Value | None:
    """Where an end may go: half a range further, in few digits, as far as the learner allows; None: nowhere.

    An end at 0 goes below it only where the learner says how far.
    """
    end, sign = (values.high, 1) if is_upper else (values.low, -1)
    bound = known.high if is_upper else known.low
    if values.low >= 0 and math.isinf(known.low) and not is_upper:
        bound = 0.0
    if values.stride is not None:
        count = math.ceil(FURTHER * ((values.num_points() or 1) - 1))
        found = [float(Fraction(str(end)) + sign * step * values.stride) for step in range(count, 0, -1)]
    else:
        found = [_short(end, _further(values, end, sign))]
        # Where that is beyond the bound: the bound itself, and before an open one half the way to it.
        found += [bound, (end + bound) / 2] if math.isfinite(bound) else []
    for one in found:
        goal = round(one) if values.is_int else one
        if known.admits(goal) and sign * (bound - goal) >= 0 and sign * (goal - end) > 0:
            return goal
    return None


def _further(values: Range, end: float, sign: int) -> float:
    """Half the range beyond an end, on the scale that is searched."""
    if values.log:
        return float(end * (values.high / values.low) ** (sign * FURTHER))
    return end + sign * FURTHER * (values.high - values.low)


def _short(end: float, goal: float) -> float:
    """The goal in as few digits as keep it within a quarter of its distance from the end."""
    rounded = (float(f"{goal:.{digits}g}") for digits in range(1, 7))
    return next((one for one in rounded if abs(one - goal) <= abs(goal - end) / 4), goal)


def _place(values: Range, value: float) -> float:
    """Where a value lies between the ends, 0 to 1, on the scale that is searched."""
    low, high = values.low, values.high
    if values.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
