"""Numbers in words: percent, points, scores with their intervals. Plain text, not yet escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from pipeline.statistics import Interval


class _Names(dict[str, str]):
    def __missing__(self, metric: str) -> str:
        return metric


# A metric of the user's own is called what the user calls it.
METRICS = _Names(val_accuracy="validation accuracy", val_loss="validation loss")
NOTHING = "-"


def is_share(metric: str) -> bool:
    """Whether a metric is a share of images, told in percent."""
    return metric.endswith("accuracy")


def read(ends: Mapping[str, float]) -> Interval:
    """The interval that `Interval.as_dict` described."""
    return Interval(ends["mean"], ends["low"], ends["high"])


def percent(share: float) -> str:
    """A share of 1 as a percentage with two decimals."""
    return f"{100 * share:.2f} %"


def percent_range(ends: Mapping[str, float]) -> str:
    """A share with its interval, cut where no share can be."""
    low, high = max(0.0, ends["low"]), min(1.0, ends["high"])
    return f"{percent(ends['mean'])} ({100 * low:.2f} to {100 * high:.2f})"


def score(metric: str, value: float | None) -> str:
    """A metric's value: percent for an accuracy, four decimals for a loss."""
    if value is None or pd.isna(value):
        return NOTHING
    return percent(value) if is_share(metric) else f"{value:.4f}"


def score_range(metric: str, ends: Mapping[str, float]) -> str:
    """A metric's mean with its interval."""
    if is_share(metric):
        return percent_range(ends)
    return f"{ends['mean']:.4f} ({ends['low']:.4f} to {ends['high']:.4f})"


def change(metric: str, difference: Interval) -> str:
    """A difference with its interval, in points for an accuracy; never a resolved one shown as 0."""
    scale, unit, fewest = (100, " points", 2) if is_share(metric) else (1, "", 4)
    ends = [scale * end for end in (difference.mean, difference.low, difference.high)]
    decimals = fewest
    while difference.is_resolved and decimals < 9 and min(abs(round(end, decimals)) for end in ends) == 0:
        decimals += 1
    mean, low, high = (_signed(end, decimals) for end in ends)
    return f"{mean}{unit}, 95 % interval {low} to {high}"


def gap(metric: str, value: float) -> str:
    """A difference without an interval."""
    return f"{_signed(100 * value, 2)} points" if is_share(metric) else _signed(value, 4)


def p_value(value: float) -> str:
    """A p-value as far as it can be believed."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def setting(value: object) -> str:
    """One hyperparameter's value; whole numbers stay whole, whatever a CSV file made of them."""
    if not counts(value):
        return NOTHING
    return f"{value:.4g}" if isinstance(value, float) and value != int(value) else _whole(value)


def counts(value: object) -> bool:
    """Whether a trial's hyperparameter counted: its cell is not empty."""
    is_nan = isinstance(value, float) and math.isnan(value)
    return not (value is None or value is pd.NA or is_nan or value == "")


def amount(number: int, noun: str) -> str:
    """A number of things: 1 image, 2 images."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shorten(name: str, limit: int = 30) -> str:
    """A name that leaves room for others."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def printable(text: str) -> str:
    """`text` in one line without control characters, those that turn the writing direction included."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _whole(value: object) -> str:
    return str(int(value)) if isinstance(value, float) else str(value)


def _signed(value: float, decimals: int) -> str:
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"
