"""How the search went: scores trial by trial, and learning curves epoch by epoch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from pipeline.report import canvas, wording
from pipeline.report.canvas import Picture
from pipeline.report.findings import Findings

LINES = {
    "pruned": {"width": 0.8, "opacity": 0.45, "dash": "solid"},
    "failed": {"width": 0.8, "opacity": 0.45, "dash": "dot"},
    "complete": {"width": 1.5, "opacity": 0.85, "dash": "solid"},
}


def history(findings: Findings) -> Picture:
    """The score of each trial in order, the best so far of each arm, and the baseline."""
    metric = findings.metric
    plain = float(canvas.scaled(metric, np.array([findings.evidence["baseline"]["val_score"]["mean"]]))[0])
    scores = canvas.scaled(metric, findings.trials["score"].astype(float))
    ends = canvas.span(scores, findings.study.objective.is_maximized, plain)
    traces = [
        trace for index, arm in enumerate(findings.arms) for trace in _arm_history(findings, index, arm)
    ]
    last = float(findings.trials["number"].max()) if len(findings.trials) else 1.0
    traces.append(
        go.Scatter(
            x=[0, last],
            y=canvas.short([plain, plain]),
            name="baseline (mean over seeds)",
            mode="lines",
            line={"color": canvas.INK, "dash": "dash", "width": 1.5},
        )
    )
    figure = canvas.draw(
        traces, 440, xaxis=canvas.axis("Trial (in order of asking)"), yaxis=canvas.metric_axis(metric, ends)
    )
    caption = "A filled mark is a complete trial, an open one was pruned and shows its last score."
    if hidden := canvas.num_outside(scores, ends):
        caption += f" {wording.amount(hidden, 'trial')} beyond the edge: double-click to see all."
    return Picture("history", "How the best score grew", caption, figure)


def curves(findings: Findings) -> Picture:
    """The validation metric after each epoch of each trial."""
    title = "Learning curves of all trials"
    if findings.curves.empty:
        return Picture("curves", title, "Not shown: no trial finished an epoch.", None)
    metric = findings.metric
    states = findings.trials[["arm", "number", "state"]]
    joined = findings.curves.merge(states, on=["arm", "number"], how="left").sort_values(
        ["arm", "number", "epoch"], kind="stable"
    )
    winner = findings.evidence["winner"]
    of_winner = findings.of_arm(joined[joined["number"] == winner["number"]], str(winner["arm"]))
    values = canvas.scaled(metric, joined[metric].astype(float))
    ends = canvas.span(values, findings.study.objective.is_maximized)
    traces = [
        _bundle(findings.of_arm(joined[joined["state"] == state], arm), metric, index, arm, state)
        for index, arm in enumerate(findings.arms)
        for state in LINES
    ]
    traces.append(_winner(of_winner, metric))
    epochs = canvas.axis("Epoch", tickformat="d", **({"dtick": 1} if joined["epoch"].max() <= 15 else {}))
    figure = canvas.draw(
        [trace for trace in traces if len(trace.x)],
        440,
        xaxis=epochs,
        yaxis=canvas.metric_axis(metric, ends),
        hovermode="closest",
    )
    caption = "Thin lines were pruned, dotted ones failed; the thick black line is the winner in its search."
    return Picture("curves", title, caption, figure)


def _arm_history(findings: Findings, index: int, arm: str) -> Iterator[go.Scatter]:
    trials = findings.of_arm(findings.trials, arm).sort_values("number")
    is_complete = trials["state"] == "complete"
    scores = pd.Series(canvas.scaled(findings.metric, trials["score"].astype(float)), index=trials.index)
    name = canvas.label(arm) if findings.study.compared else "trials"
    for state, symbol in (("complete", ""), ("pruned", "-open")):
        rows = trials["state"] == state
        yield go.Scatter(
            x=trials.loc[rows, "number"].tolist(),
            y=canvas.short(scores[rows]),
            name=name,
            mode="markers",
            legendgroup=arm,
            showlegend=state == "complete",
            marker={
                "color": canvas.color(index),
                "symbol": canvas.SYMBOLS[index % len(canvas.SYMBOLS)] + symbol,
                "size": 7,
                "opacity": 0.8,
            },
            hovertemplate=f"{name}, trial %{{x}}, {state}: %{{y:.4g}}<extra></extra>",
        )
    complete = scores[is_complete]
    if complete.empty:
        return
    so_far = complete.cummax() if findings.study.objective.is_maximized else complete.cummin()
    # The line goes on to the last trial, which may have been pruned or failed.
    yield go.Scatter(
        x=[*trials.loc[is_complete, "number"].tolist(), int(trials["number"].max())],
        y=canvas.short([*so_far, so_far.iloc[-1]]),
        name=f"{name}, best so far" if findings.study.compared else "best so far",
        mode="lines",
        legendgroup=arm,
        line={"color": canvas.color(index), "shape": "hv", "width": 2},
        hoverinfo="skip",
    )


def _bundle(rows: pd.DataFrame, metric: str, index: int, arm: str, state: str) -> go.Scatter:
    """All curves of one arm and state as one line with gaps, so that the page stays light."""
    epochs: list[float | None] = []
    values: list[float | None] = []
    numbers: list[int | None] = []
    for number, curve in rows.groupby("number", sort=True):
        epochs += [*curve["epoch"].astype(int).tolist(), None]
        values += [*canvas.short(canvas.scaled(metric, curve[metric].astype(float))), None]
        numbers += [int(str(number))] * len(curve) + [None]
    line = LINES[state]
    name = f"{canvas.label(arm)}, {state}"
    return go.Scatter(
        x=epochs,
        y=values,
        customdata=numbers,
        name=canvas.label(arm),
        legendgroup=arm,
        showlegend=state == "complete",
        mode="lines+markers",
        opacity=line["opacity"],
        marker={"size": 3, "color": canvas.color(index)},
        line={"color": canvas.color(index), "width": line["width"], "dash": line["dash"]},
        hovertemplate=f"{name}, trial %{{customdata}}, epoch %{{x}}: %{{y:.4g}}<extra></extra>",
    )


def _winner(rows: pd.DataFrame, metric: str) -> go.Scatter:
    return go.Scatter(
        x=rows["epoch"].tolist(),
        y=canvas.short(canvas.scaled(metric, rows[metric].astype(float))),
        name="winner",
        mode="lines+markers",
        marker={"size": 5, "color": canvas.INK},
        line={"color": canvas.INK, "width": 3},
        hovertemplate="winner, epoch %{x}: %{y:.4g}<extra></extra>",
    )
