"""What all figures of a report share: their form, their style, and the ends of their axes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from pipeline.report.findings import Findings
from pipeline.report.tables import amount, is_share, label

Floats = npt.NDArray[np.float64]

# Source: Okabe and Ito (2008), Color universal design; the yellow is left out, too pale on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
INK, GRID = "#1a1a1a", "#eeeeee"


@dataclass(frozen=True)
class Figure:
    """One figure of the page; where nothing is drawn its caption says why.

    Attributes:
        key: its id within the page.
        least: pixels below which it scrolls sideways instead of shrinking.
    """

    key: str
    title: str
    caption: str
    drawn: go.Figure | None = None
    least: int = 0


def span(values: Floats, is_maximized: bool, *always: float) -> tuple[float, float]:
    """Ends that hold all values but those far out on the bad side, which would flatten the rest.

    Source: Tukey (1977), Exploratory data analysis, section 2D: far out is 3 times the spread of the middle
    half away from it.
    """
    known = values[np.isfinite(values)]
    lower, upper = np.percentile(known, [25, 75]) if known.size else (0.0, 0.0)
    reach = 3 * (upper - lower)
    inside = known[known >= lower - reach] if is_maximized else known[known <= upper + reach]
    shown = np.append(inside, always) if inside.size or always else np.array([0.0, 1.0])
    margin = 0.05 * float(np.ptp(shown)) or 0.01 * abs(float(shown[0])) or 0.01
    return (float(shown.min()) - margin, float(shown.max()) + margin)


def axis(findings: Findings, values: pd.Series, *always: float) -> tuple[tuple[float, float], str]:
    """The ends of an axis of the objective, and how many trials lie beyond them, in a sentence."""
    scores = scaled(findings.metric, values)
    ends = span(scores, findings.study.objective.is_maximized, *always)
    hidden = int(np.count_nonzero((scores < ends[0]) | (scores > ends[1])))
    return ends, f" {amount(hidden, 'trial')} beyond the edge: double-click to see all." if hidden else ""


def scaled(metric: str, values: Any) -> Floats:
    """A metric's values as an axis counts them: accuracies in percent."""
    numbers = np.asarray(values, dtype=np.float64)
    return numbers * 100 if is_share(metric) else numbers


def metric_name(findings: Findings) -> str:
    """The objective's metric as an axis has it."""
    return label(findings.metric_name.capitalize()) + (" (%)" if is_share(findings.metric) else "")


def style(figure: go.Figure, height: int, **layout: Any) -> go.Figure:
    """The figure in the style of the page; `layout` is plotly's own."""
    return figure.update_layout(
        template="plotly_white",
        title=None,
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        **layout,
    )
