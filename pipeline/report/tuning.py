"""What a random search of so many trials would find: the tuning curve, as a figure and in sentences."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pipeline.report.drawing import PALETTE, Figure, Floats, axis, metric_name, scaled, style
from pipeline.report.findings import Findings
from pipeline.report.tables import amount, label, score
from pipeline.statistics.tuning import TuningCurve, tuning_curve
from pipeline.study import Arm
from pipeline.training.scored import OF_CLASSES

TITLE = "What so many trials find"
FEWEST = 2


def tuning(findings: Findings) -> Figure:
    """The expected best of so many random trials with its band; of any other search the best so far alone."""
    if findings.complete().empty:
        return Figure("tuning", TITLE, "Not shown: no trial is complete.")
    figure, bands, reasons = go.Figure(), [], {}
    # The band's far end, often all that a score can be, would flatten the rest.
    ends, _ = axis(findings, findings.complete()["score"])
    for index, arm in enumerate(findings.study.arms):
        color, reason = PALETTE[index % len(PALETTE)], unfit(findings, arm)
        if reason:
            reasons[arm.name] = reason
            figure.add_trace(_best_so_far(findings, arm, color))
        else:
            bands.append(arm.name)
            _draw(figure, findings, arm, color, ends)
    style(figure, 380, xaxis_title="Complete trials", yaxis={"title": metric_name(findings), "range": ends})
    return Figure("tuning", TITLE, _caption(findings, bands, reasons), figure)


def sentences(findings: Findings) -> list[str]:
    """What half of the trials would be expected to find, of each arm of which that can be told."""
    told = []
    for arm in findings.study.arms:
        if unfit(findings, arm):
            continue
        curve, metric = curve_of(findings, arm), findings.metric
        number = len(curve.middle)
        shown = [
            f"{score(metric, curve.middle[count - 1])} with {amount(count, 'trial')} "
            f"(95 % band {_end(metric, curve.low[count - 1])} to {_end(metric, curve.high[count - 1])})"
            for count in sorted({-(-number // 2), number})
        ]
        who = "random search" if len(findings.study.arms) == 1 else f"arm {arm.name}"
        kind = "expected" if curve.is_mean else "median"
        told.append(f"The {kind} best {findings.metric_name} of {who} is {' and '.join(shown)}.")
    return told


def unfit(findings: Findings, arm: Arm) -> str:
    """Why nothing can be said of another search like this arm's from its scores alone; empty: it can."""
    if arm.sampler != "random":
        return f"{arm.sampler} does not draw its trials independently of each other"
    if arm.pruner != "none":
        return "a pruner ended trials by what others had scored"
    if arm.search.patience is not None:
        return "its patience ended it by what it had scored"
    return "" if len(_drawn(findings, arm)) >= FEWEST else "it has too few complete trials"


def curve_of(findings: Findings, arm: Arm) -> TuningCurve:
    """The tuning curve of an arm of random search."""
    scores = _drawn(findings, arm)["score"].to_numpy(dtype=np.float64)
    is_share = findings.metric.removeprefix("val_") in ("accuracy", *OF_CLASSES)
    low = 0.0 if is_share or findings.metric.endswith("loss") else -math.inf
    return tuning_curve(scores, findings.study.objective.is_maximized, low, 1.0 if is_share else math.inf)


def _drawn(findings: Findings, arm: Arm) -> pd.DataFrame:
    """The complete trials that were drawn: those that the study file gave come first, and are no draws."""
    trials = findings.complete()
    return trials[(trials["arm"] == arm.name) & (trials["number"] >= len(arm.search.start_with))]


def _end(metric: str, value: float) -> str:
    return score(metric, value) if math.isfinite(value) else "any value"


def _best_so_far(findings: Findings, arm: Arm, color: str) -> go.Scatter:
    scores = scaled(findings.metric, findings.complete().query("arm == @arm.name")["score"])
    best = np.maximum if findings.study.objective.is_maximized else np.minimum
    return go.Scatter(
        x=np.arange(1, len(scores) + 1),
        y=best.accumulate(scores),
        name=label(f"Best so far of {arm.name}", 40),
        mode="lines",
        line={"color": color, "shape": "hv", "dash": "dot"},
    )


def _draw(figure: go.Figure, findings: Findings, arm: Arm, color: str, ends: tuple[float, float]) -> None:
    curve = curve_of(findings, arm)
    number = np.arange(1, len(curve.middle) + 1)
    low, middle, high = (
        _within(scaled(findings.metric, one), ends) for one in (curve.low, curve.middle, curve.high)
    )
    kind = "Expected" if curve.is_mean else "Median"
    band = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
    figure.add_trace(go.Scatter(x=number, y=low, **band))
    figure.add_trace(go.Scatter(x=number, y=high, fill="tonexty", fillcolor=_pale(color), **band))
    name = label(f"{kind} best of {arm.name}", 40)
    figure.add_trace(go.Scatter(x=number, y=middle, name=name, mode="lines", line={"color": color}))


def _within(values: Floats, ends: tuple[float, float]) -> Floats:
    """Values that can be drawn: what lies beyond the axis, infinity too, lies just beyond it."""
    reach = ends[1] - ends[0]
    return np.clip(values, ends[0] - reach, ends[1] + reach)


def _pale(color: str) -> str:
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, 0.18)"


def _caption(findings: Findings, bands: list[str], reasons: dict[str, str]) -> str:
    told = []
    if bands:
        told.append(
            f"A solid line is the {findings.metric_name} that the best of so many complete trials of a "
            "random search like this is expected to have. Its band holds the truth at all numbers of trials "
            "at once in 95 % of searches; where it leaves the picture, these trials cannot tell."
        )
    if reasons:
        why = "; ".join(f"of {arm}, because {reason}" for arm, reason in reasons.items())
        told.append(f"Dotted, the best so far alone: {why}. Another such search may go otherwise.")
    return " ".join(told)
