"""What all pictures share: colours, symbols, axes, and numbers short enough for a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from pipeline.report import wording

# Source: Okabe and Ito (2008), Color universal design; the yellow is left out, too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon")
INK, GRID = "#1a1a1a", "#e3e3e3"
FAR_OUT = 3.0
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Picture:
    """One picture of the page, or the reason why it is not there.

    Attributes:
        key: its id within the page.
        title: what it shows.
        caption: how to read it, in plain text; without a figure, why there is none.
        least: pixels below which it scrolls sideways instead of shrinking.
        most: pixels above which it grows no more.
    """

    key: str
    title: str
    caption: str
    figure: go.Figure | None
    least: int = 0
    most: int = 928


def draw(traces: Iterable[Any], height: int, **layout: Any) -> go.Figure:
    """A figure in the style of the page; `layout` is plotly's own."""
    style = {
        "template": "none",
        "height": height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "hoverlabel": {"bgcolor": "#ffffff", "font": {"color": INK}},
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
    }
    return go.Figure(data=list(traces), layout={**style, **layout})


def axis(title: str, **settings: Any) -> dict[str, Any]:
    """An axis with its label and a quiet grid."""
    style = {"gridcolor": GRID, "zeroline": False, "automargin": True, "ticklabelstandoff": 4}
    return {"title": {"text": title, "standoff": 8, "font": {"size": 13}}, **style, **settings}


def metric_axis(metric: str, ends: tuple[float, float]) -> dict[str, Any]:
    """The axis of a metric between two values of `scaled`."""
    unit = " (%)" if wording.is_share(metric) else " (cross-entropy, nats)" * (metric == "val_loss")
    return axis(f"{wording.METRICS[metric]}{unit}".capitalize(), range=list(ends))


def scaled(metric: str, values: pd.Series | Floats) -> Floats:
    """A metric's values as the axis counts them: accuracies in percent."""
    numbers = np.asarray(values, dtype=np.float64)
    return numbers * 100 if wording.is_share(metric) else numbers


def span(values: Floats, is_maximized: bool, *always: float) -> tuple[float, float]:
    """Ends that hold all values but those far out on the bad side, which would flatten the rest.

    Source: Tukey (1977), Exploratory data analysis, section 2D: far out is 3 times the spread of the middle
    half away from it.
    """
    known = values[np.isfinite(values)]
    lower, upper = np.percentile(known, [25, 75]) if known.size else (0.0, 0.0)
    reach = FAR_OUT * (upper - lower)
    inside = known[known >= lower - reach] if is_maximized else known[known <= upper + reach]
    shown = np.append(inside, always) if inside.size or always else np.array([0.0, 1.0])
    margin = 0.05 * float(np.ptp(shown)) or 0.01 * abs(float(shown[0])) or 0.01
    return (float(shown.min()) - margin, float(shown.max()) + margin)


def num_outside(values: Floats, ends: tuple[float, float]) -> int:
    """How many values the ends leave out."""
    return int(np.count_nonzero((values < ends[0]) | (values > ends[1])))


def label(name: object) -> str:
    """A name as plotly shows it: never markup, never long."""
    return escape(wording.shorten(wording.printable(str(name)), 24), quote=False)


def short(values: Iterable[float]) -> list[float | None]:
    """Numbers with six digits, None for what is no number."""
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]


def color(index: int) -> str:
    """The colour of the arm with this index."""
    return PALETTE[index % len(PALETTE)]


def as_json(figure: go.Figure) -> Mapping[str, Any]:
    """A figure as the page's script takes it."""
    plain: Mapping[str, Any] = figure.to_plotly_json()
    return plain
