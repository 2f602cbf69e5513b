"""The figures of a report: how the search went, what mattered in it, and where the winner goes wrong."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import optuna
import pandas as pd
import plotly.graph_objects as go
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from optuna.visualization import plot_intermediate_values, plot_optimization_history, plot_slice
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from pipeline import seeds
from pipeline.report import arms
from pipeline.report.drawing import GRID, INK, PALETTE, Figure, axis, metric_name, scaled, style
from pipeline.report.findings import Findings
from pipeline.report.tables import amount, label
from pipeline.report.tuning import tuning
from pipeline.space import Choice, Range

FEWEST_TRIALS = 10
LEAST_EXPLAINED = 0.1
NUM_TREES = 100
NUM_SHUFFLES = 10
MOST_CURVES = 200
MOST_COUNTED = 15
MOST_NAMED = 30


def history(findings: Findings) -> Figure:
    """The score of each complete trial in order, the best so far of each arm, and the baseline."""
    [plain] = scaled(findings.metric, [findings.conclusion["baseline"]["val_score"]["mean"]])
    ends, beyond = axis(findings, findings.complete()["score"], plain)
    studies = [_as_study(findings, findings.of_arm(arm), arm) for arm in findings.arms]
    figure = plot_optimization_history(studies, target_name=metric_name(findings))
    figure.data = [trace for trace in figure.data if trace.name != "Infeasible Trial"]
    for index, trace in enumerate(figure.data):
        # Of each arm Optuna draws the trials and the best so far.
        color = PALETTE[index // 2 % len(PALETTE)]
        name = trace.name.replace("Best Value", "Best so far")
        trace.update(name=name, marker_color=color, line_color=color, line_shape="hv")
    figure.add_hline(plain, line={"color": INK, "dash": "dash"}, annotation_text="baseline (mean over seeds)")
    style(figure, 440, yaxis_range=ends)
    return Figure("history", "How the best score grew", f"A mark is a complete trial.{beyond}", figure)


def curves(findings: Findings) -> Figure:
    """The objective after each epoch of each trial."""
    title = "Learning curves"
    if findings.curves.empty:
        return Figure("curves", title, "Not shown: no trial finished an epoch.")
    trials, winner = findings.trials, findings.conclusion["winner"]
    won = (trials["arm"] == winner["arm"]) & (trials["number"] == winner["number"])
    # A trace for each trial: a thousand would make the page slow.
    step = -(-len(trials) // MOST_CURVES)
    trials = trials.assign(won=won)[won | (np.arange(len(trials)) % step == 0)]
    figure = plot_intermediate_values(_as_study(findings, trials))
    for trace in figure.data:
        trial = trials.iloc[int(trace.name.removeprefix("Trial"))]
        arm, number, state, is_winner = (trial[key] for key in ("arm", "number", "state", "won"))
        color = INK if is_winner else PALETTE[findings.arms.index(arm) % len(PALETTE)]
        width = 3 if is_winner else 1.5 if state == "complete" else 0.8
        line = {"color": color, "width": width, "dash": "dot" if state == "failed" else "solid"}
        name = f"{label(arm)}, trial {number}, {state}"
        trace.update(name=name, line=line, marker_size=3, zorder=int(is_winner))
    ends, _ = axis(findings, findings.curves[findings.metric])
    epochs = {"title": "Epoch", "tickformat": "d"}
    style(figure, 440, xaxis=epochs, yaxis={"title": metric_name(findings), "range": ends})
    caption = "Thin lines were pruned, dotted ones failed; the thick black line is the winner in its search."
    caption += f" Of every {step} trials one is drawn." if step > 1 else ""
    return Figure("curves", title, caption, figure)


def importance(findings: Findings) -> Figure:
    """How much a forest that predicts the trials' ranks loses when one hyperparameter is shuffled.

    Ranks, because one trial that diverged would otherwise be all that the forest explains. Optuna's own
    importances leave conditional hyperparameters out and do not say whether they can be trusted.

    Source: Breiman (2001), Random forests, section 10 (permutation importance).
    """
    title = "Which hyperparameters mattered"
    trials = findings.complete()
    if len(trials) < FEWEST_TRIALS:
        few = f"{amount(len(trials), 'complete trial')} cannot tell which hyperparameters mattered"
        return Figure("importance", title, f"Not shown: {few}; {FEWEST_TRIALS} are needed.")
    if trials["score"].nunique() == 1:
        return Figure("importance", title, "Not shown: all complete trials have the same score.")
    names = [label(name, 60) for name in (*findings.study.space.names, *findings.study.compared)]
    values = [[_position(one, name) for name in names] for one in _as_study(findings, trials).trials]
    chance = seeds.stream(findings.study.seed, "report", "importance")
    forest = RandomForestRegressor(NUM_TREES, oob_score=True, random_state=chance, n_jobs=1)
    data = np.array(values), stats.rankdata(trials["score"])
    forest.fit(*data)
    found = permutation_importance(forest, *data, n_repeats=NUM_SHUFFLES, random_state=chance, n_jobs=1)
    order = np.argsort(found.importances_mean, kind="stable")
    bars = go.Bar(
        x=found.importances_mean[order],
        y=[names[index] for index in order],
        error_x={"array": found.importances_std[order], "color": INK, "thickness": 1},
        orientation="h",
        marker_color=PALETTE[0],
    )
    explained = f"{100 * forest.oob_score_:.0f} % of the variance."
    if forest.oob_score_ < LEAST_EXPLAINED:
        explained = "next to nothing: do not trust this figure."
    caption = (
        "How much of a random forest's fit (R²) to the trials' ranks is lost when one hyperparameter is "
        f"shuffled, with its spread over {NUM_SHUFFLES} shuffles. Of trials that it has not seen, the forest "
        f"explains {explained}"
    )
    figure = style(go.Figure(bars), 90 + 34 * len(order), xaxis_title="R² lost when shuffled")
    return Figure("importance", title, caption, figure)


def slices(findings: Findings) -> Figure:
    """The score of each complete trial against its value of each hyperparameter."""
    title = "Which values the good trials had"
    trials = findings.complete()
    if len(trials) < 2:
        return Figure("slices", title, "Not shown: fewer than 2 trials are complete.")
    ends, beyond = axis(findings, trials["score"])
    figure = plot_slice(_as_study(findings, trials), target_name=metric_name(findings))
    figure.update_traces(marker={"color": PALETTE[0], "opacity": 0.6, "showscale": False})
    for panel, points in zip(figure.select_xaxes(), figure.data, strict=True):
        if panel.categoryarray is not None:
            # Optuna puts words into quotes.
            panel.update(tickvals=panel.categoryarray, ticktext=[text[1:-1] for text in panel.categoryarray])
        elif panel.type == "log":
            ticks = np.geomspace(min(points.x), max(points.x), 3)
            panel.update(tickvals=ticks, ticktext=[f"{tick:.2g}" for tick in ticks])
    style(figure, 380, width=None, yaxis_range=ends)
    caption = f"A mark is a complete trial, in the panel of each hyperparameter that counts in it.{beyond}"
    return Figure("slices", title, caption, figure, 150 * len(figure.data))


def confusion(findings: Findings) -> Figure:
    """True class by predicted class on the test split; colour shows mistakes alone."""
    counts = np.array(findings.conclusion["winner"]["confusion"], dtype=np.int64)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0)
    step = -(-len(counts) // MOST_NAMED)
    ticks = {
        "tickvals": list(range(0, len(counts), step)),
        "ticktext": [label(name) for name in findings.classes[::step]],
        "constrain": "domain",
        "showgrid": False,
    }
    cells = go.Heatmap(
        z=shares,
        zmin=0,
        zmax=max(1, shares.max()),
        customdata=counts,
        text=np.where(counts > 0, counts.astype(str), "") if len(counts) <= MOST_COUNTED else None,
        texttemplate="%{text}",
        colorscale=["#ffffff", PALETTE[1]],
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate=f"true %{{y}}, predicted %{{x}}: %{{customdata}} {findings.noun}s<extra></extra>",
    )
    down = {"title": "True class", "scaleanchor": "x", "autorange": "reversed", **ticks}
    figure = go.Figure(cells)
    style(figure, 540, xaxis={"title": "Predicted class", **ticks}, yaxis=down, plot_bgcolor=GRID)
    caption = (
        f"Test {findings.noun}s by true and predicted class, counted over "
        f"{amount(findings.conclusion['repeats'], 'seed')}. Off the diagonal, the deeper the colour, the "
        "larger the share of the true class that is taken for another."
    )
    title, least = "Which classes the winner confuses", min(420, 120 + 20 * len(counts))
    return Figure("confusion", title, caption, figure, least)


def _as_study(findings: Findings, trials: pd.DataFrame, name: str = "search") -> optuna.Study:
    """The trials as an Optuna study in memory, in their order, for Optuna's own figures."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        direction="maximize" if findings.study.objective.is_maximized else "minimize", study_name=label(name)
    )
    curves: defaultdict[tuple[str, int], dict[int, float]] = defaultdict(dict)
    reported = (findings.curves[key] for key in ("arm", "number", "epoch", findings.metric))
    for arm, number, epoch, value in zip(*reported, strict=True):
        [curves[arm, number][epoch]] = scaled(findings.metric, [value])
    for trial in trials.to_dict("records"):
        is_complete = trial["state"] == "complete"
        [score] = scaled(findings.metric, [trial["score"]])
        values = list(_values(findings, trial))
        study.add_trial(
            optuna.create_trial(
                # Of failed trials Optuna would draw no curve.
                state=TrialState.COMPLETE if is_complete else TrialState.PRUNED,
                value=score if is_complete else None,
                params={name: value for name, value, _ in values},
                distributions={name: distribution for name, _, distribution in values},
                intermediate_values=curves[trial["arm"], trial["number"]],
            )
        )
    return study


def _values(findings: Findings, trial: Mapping[Any, Any]) -> Iterator[tuple[str, Any, BaseDistribution]]:
    """Each hyperparameter that counts in a trial, with its value and what it was drawn from; then the arm."""
    cells = [(entry.name, trial[entry.name], entry.values) for entry in findings.study.space]
    at = next((arm.compared for arm in findings.study.arms if arm.name == trial["arm"]), {})
    cells += [(name, at[name], Choice(values)) for name, values in findings.study.compared.items()]
    for name, cell, values in cells:
        if isinstance(values, Choice) and not pd.isna(cell):
            words = CategoricalDistribution([label(word, 60) for word in values.values])
            yield label(name, 60), label(cell, 60), words
        elif isinstance(values, Range) and not pd.isna(cell):
            numbers = FloatDistribution(values.low, values.high, values.log)
            yield label(name, 60), float(cell), numbers


def _position(trial: optuna.trial.FrozenTrial, name: str) -> float:
    """Where a value lies: numbers as searched, words by their place, NaN for one that does not count."""
    if name not in trial.params:
        return math.nan
    distribution = trial.distributions[name]
    number = distribution.to_internal_repr(trial.params[name])
    return math.log10(number) if getattr(distribution, "log", False) else number


# In the order of the page.
FIGURES = (arms.figure, history, tuning, curves, importance, slices, confusion)
