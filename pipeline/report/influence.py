"""Which hyperparameters mattered, and which values the good trials had."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from scipy import stats
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance

from pipeline import seeds
from pipeline.report import canvas, wording
from pipeline.report.canvas import Floats, Picture
from pipeline.report.findings import Findings
from pipeline.space import Choice, Dimension, Range, Value

FEWEST_TRIALS = 10
LEAST_EXPLAINED = 0.1
NUM_TREES = 100
NUM_SHUFFLES = 10
UNUSED = "not used"
SHADES = [[0, "#dddddd"], [0.5, "#6baed6"], [1, "#08306b"]]


def importance(findings: Findings) -> Picture:
    """How much a forest that predicts the trials' ranks loses when one hyperparameter is shuffled.

    Ranks, because one trial that diverged would otherwise be all that the forest explains.

    Source: Breiman (2001), Random forests, section 10 (permutation importance).
    """
    title = "Which hyperparameters mattered"
    trials = findings.complete()
    scores = trials["score"].to_numpy(dtype=np.float64)
    if len(trials) < FEWEST_TRIALS:
        few = f"{wording.amount(len(trials), 'complete trial')} cannot tell which hyperparameters mattered"
        return Picture("importance", title, f"Not shown: {few}; {FEWEST_TRIALS} are needed.", None)
    if np.ptp(scores) == 0:
        return Picture("importance", title, "Not shown: all complete trials have the same score.", None)
    features = _features(findings, trials)
    chance = seeds.stream(findings.study.seed, "report", "importance")
    forest = RandomForestRegressor(NUM_TREES, oob_score=True, random_state=chance, n_jobs=1)
    ranks = stats.rankdata(scores)
    forest.fit(features.to_numpy(), ranks)
    found = permutation_importance(
        forest, features.to_numpy(), ranks, n_repeats=NUM_SHUFFLES, random_state=chance, n_jobs=1
    )
    caption = (
        "How much of a random forest's fit (R²) to the trials' ranks is lost when one hyperparameter is "
        f"shuffled, with its spread over {NUM_SHUFFLES} shuffles. {_trust(float(forest.oob_score_))}"
    )
    figure = _bars(list(features.columns), found.importances_mean, found.importances_std)
    return Picture("importance", title, caption, figure)


def parallel(findings: Findings) -> Picture:
    """Each complete trial as a line through its values to its score."""
    title = "Which values the good trials had"
    trials = findings.complete()
    if len(trials) < 2:
        return Picture("parallel", title, "Not shown: fewer than 2 trials are complete.", None)
    metric, is_maximized = findings.metric, findings.study.objective.is_maximized
    scores = canvas.scaled(metric, trials["score"].astype(float))
    ends = canvas.span(scores, is_maximized)
    shown = np.clip(scores, *ends)
    axes = [_axis(dimension, trials[dimension.name]) for dimension in findings.study.space]
    if findings.study.compared:
        axes.insert(0, _categories(findings.study.compared[0], findings.arms, trials["arm"].astype(str)))
    axes.append(_scores(metric, shown))
    line = {
        "color": canvas.short(shown),
        "colorscale": SHADES,
        "reversescale": not is_maximized,
        "cmin": ends[0],
        "cmax": ends[1],
    }
    figure = canvas.draw(
        [go.Parcoords(line=line, dimensions=axes, labelfont={"size": 12}, tickfont={"size": 11})],
        420,
        margin={"l": 96, "r": 64, "t": 48, "b": 24},
    )
    caption = (
        "A line is a complete trial, the darker the better. Drag along an axis to keep what passes there."
    )
    if beyond := canvas.num_outside(scores, ends):
        caption += f" {wording.amount(beyond, 'score')} beyond the edge drawn at the edge."
    return Picture("parallel", title, caption, figure, 130 * len(axes))


def _features(findings: Findings, trials: pd.DataFrame) -> pd.DataFrame:
    """(trials, hyperparameters): numbers as searched, words by position, NaN where one did not count."""
    columns = {d.name: _positions(d, trials[d.name]) for d in findings.study.space}
    if findings.study.compared:
        arms = findings.arms
        columns[findings.study.compared[0]] = np.array([float(arms.index(str(a))) for a in trials["arm"]])
    return pd.DataFrame(columns)


def _positions(dimension: Dimension, cells: pd.Series) -> Floats:
    return np.array(
        [_position(dimension.values, cell) if wording.counts(cell) else math.nan for cell in cells.tolist()]
    )


def _position(values: Range | Choice, cell: Value) -> float:
    if isinstance(values, Choice):
        return float(values.values.index(cell))
    return math.log10(float(cell)) if values.log else float(cell)


def _trust(explained: float) -> str:
    if explained < LEAST_EXPLAINED:
        return (
            "Of trials that it has not seen, the forest explains next to nothing: do not trust this picture."
        )
    return f"Of trials that it has not seen, the forest explains {100 * explained:.0f} % of the variance."


def _bars(names: list[str], means: Floats, spreads: Floats) -> go.Figure:
    order = np.argsort(means, kind="stable")
    bars = go.Bar(
        x=canvas.short(means[order]),
        y=[canvas.label(names[index]) for index in order],
        orientation="h",
        marker={"color": canvas.PALETTE[0]},
        error_x={"type": "data", "array": canvas.short(spreads[order]), "color": canvas.INK, "thickness": 1},
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
    )
    height = 90 + 34 * len(names)
    return canvas.draw(
        [bars],
        height,
        xaxis=canvas.axis("R² lost when shuffled", rangemode="tozero"),
        yaxis=canvas.axis("", showgrid=False),
    )


def _axis(dimension: Dimension, cells: pd.Series) -> dict[str, Any]:
    values = dimension.values
    if isinstance(values, Choice):
        used = [wording.setting(value) for value in values.values]
        return _categories(dimension.name, used, cells.map(wording.setting))
    positions = _positions(dimension, cells)
    low, high = _position(values, values.low), _position(values, values.high)
    ticks = _ticks(values)
    places, names = [_position(values, tick) for tick in ticks], [wording.setting(tick) for tick in ticks]
    if np.isnan(positions).any():
        low -= 0.12 * (high - low)
        places, names = [low, *places], [UNUSED, *names]
        positions = np.nan_to_num(positions, nan=low)
    return {
        "label": canvas.label(dimension.name),
        "values": canvas.short(positions),
        "range": [low, high],
        "tickvals": places,
        "ticktext": names,
    }


def _categories(name: str, used: list[str], cells: pd.Series) -> dict[str, Any]:
    names = [*used, UNUSED] if (~cells.isin(used)).any() else used
    places = list(range(len(names)))
    return {
        "label": canvas.label(name),
        "values": [names.index(cell) if cell in names else len(used) for cell in cells.tolist()],
        "range": [-0.25, places[-1] + 0.25],
        "tickvals": places,
        "ticktext": [canvas.label(each) for each in names],
    }


def _scores(metric: str, scores: Floats) -> dict[str, Any]:
    ticks = np.linspace(scores.min(), scores.max(), 5)
    return {
        "label": f"{metric}{' (%)' if wording.is_share(metric) else ''}",
        "values": canvas.short(scores),
        "range": canvas.short([ticks[0], ticks[-1]]),
        "tickvals": canvas.short(ticks),
        "ticktext": [f"{tick:.4g}" for tick in ticks],
    }


def _ticks(values: Range) -> list[float]:
    """Both ends and what lies between: whole powers of ten on a log scale, else quarters."""
    low, high = values.low, values.high
    if not values.log:
        inner = [low + (high - low) * quarter / 4 for quarter in (1, 2, 3)]
        return [low, *({round(tick) for tick in inner} - {low, high} if values.is_int else inner), high]
    powers = [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    room = 0.1 * math.log10(high / low)
    inner = [p for p in powers if math.log10(p / low) > room and math.log10(high / p) > room]
    return [low, *inner, high]
