"""Numbers and names as a report writes them: plain text, not yet escaped for any page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from pipeline.space import Value
from pipeline.statistics import Interval

NOTHING = "-"


def is_share(metric: str) -> bool:
    """Whether a metric is a share of images, told in percent."""
    return metric.endswith("accuracy")


def score(metric: str, value: float | None) -> str:
    """A metric's value: percent for an accuracy, else four decimals."""
    if value is None or pd.isna(value):
        return NOTHING
    return f"{100 * value:.2f} %" if is_share(metric) else f"{value:.4f}"


def score_range(metric: str, ends: Mapping[str, float]) -> str:
    """A metric's mean with its interval, that of a share cut where no share can be."""
    low, high, decimals = ends["low"], ends["high"], 4
    if is_share(metric):
        low, high, decimals = 100 * max(0.0, low), 100 * min(1.0, high), 2
    return f"{score(metric, ends['mean'])} ({low:.{decimals}f} to {high:.{decimals}f})"


def change(metric: str, difference: Interval) -> str:
    """A difference with its interval, in points for an accuracy; never a resolved one shown as 0."""
    scale, unit, decimals = (100, " points", 2) if is_share(metric) else (1, "", 4)
    ends = [scale * end for end in (difference.mean, difference.low, difference.high)]
    while difference.is_resolved and decimals < 9 and min(abs(round(end, decimals)) for end in ends) == 0:
        decimals += 1
    mean, low, high = (_signed(end, decimals) for end in ends)
    return f"{mean}{unit}, 95 % interval {low} to {high}"


def gap(metric: str, value: float) -> str:
    """A difference without an interval."""
    return f"{_signed(100 * value, 2)} points" if is_share(metric) else _signed(value, 4)


def setting(value: Value | None) -> str:
    """One hyperparameter's value; whole numbers stay whole, whatever a CSV file made of them."""
    if value is None or pd.isna(value):
        return NOTHING
    if isinstance(value, float):
        return str(int(value)) if value == int(value) else f"{value:.4g}"
    return str(value)


def amount(number: int, noun: str) -> str:
    """A number of things: 1 image, 2 images."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def shorten(name: str, limit: int = 30) -> str:
    """A name that leaves room for others."""
    return name if len(name) <= limit else f"{name[: limit - 1]}…"


def printable(text: str) -> str:
    """`text` in one line without control characters, those that turn the writing direction included."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def label(name: object, limit: int = 24) -> str:
    """A name as plotly shows it: never markup, never long."""
    return escape(shorten(printable(str(name)), limit), quote=False)


def _signed(value: float, decimals: int) -> str:
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"
