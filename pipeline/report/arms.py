"""What compared arms have shown, in sentences and a table: plain text, not yet escaped for any page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline.report import gains, power
from pipeline.report.drawing import PALETTE, Figure, metric_name, scaled, style
from pipeline.report.findings import Findings
from pipeline.report.power import NO_DIFFERENCE
from pipeline.report.tables import (
    MOST_ROWS,
    NOTHING,
    RANGE,
    Table,
    change,
    label,
    score,
    score_range,
    setting,
)
from pipeline.statistics import Interval

# From such a ratio of its ends on an axis counts in powers.
WIDE = 30
ENDS = ("low", "mean", "high")
CAPTION = "A mark is the best of its search on fresh seeds, with its 95 % interval over them."


def compared(findings: Findings) -> list[str]:
    """Which of the compared arms did better, and which cannot be told apart because they tried the same."""
    if not findings.study.compared:
        return []
    twins = _twins(findings)
    told = []
    if twins:
        told.append(
            f"The arms {' and '.join(twins)} tried the very same trials: what they differ in never came into "
            "play, as when a sampler still draws at random. Give them more trials to compare them."
        )
    if len(findings.study.compared) > 1:
        told.append(_of_pairs(findings))
    elif findings.study.search.searches > 1:
        told.append(_of_searches(findings))
    elif len(twins) < len(findings.arms):
        told.append(_of_arms(findings, next(iter(findings.study.compared)), twins))
    return told


def _twins(findings: Findings) -> list[str]:
    """Arms whose trials are all equal, each configuration and each score; of several searches the first's."""
    alike: dict[str, list[str]] = {}
    for arm in dict.fromkeys(one.group for one in findings.study.arms):
        alike.setdefault(findings.of_arm(arm).drop(columns="arm").to_csv(index=False), []).append(arm)
    return max((arms for arms in alike.values() if len(arms) > 1), key=len, default=[])


def _of_arms(findings: Findings, key: str, twins: Sequence[str]) -> str:
    """Which arm's best candidate did better, or why that stays open."""
    leaders = findings.leaders()
    # Of twins the one with the best candidate stands for all.
    hidden = [arm for arm in dict.fromkeys((*leaders, *findings.arms)) if arm in twins][1:]
    leaders = {arm: best for arm, best in leaders.items() if arm not in hidden}
    missing = " or ".join(arm for arm in findings.arms if arm not in {*leaders, *hidden})
    if len(leaders) < 2:
        return f"Which {key} is better stays open: none of the confirmed candidates is of {missing}."
    absent = f" No candidate of {missing} was confirmed." if missing else ""
    return f"Compared by {key}, {_contest(findings, leaders)}{absent}"


def _contest(findings: Findings, leaders: Mapping[str, Mapping[str, Any]]) -> str:
    """How the best arm's best candidate did against the next arm's."""
    (first, best), (second, next_best) = list(leaders.items())[:2]
    # The best arm of all is always told of: of twins the better stands for both.
    [group] = findings.conclusion["arms"]
    difference = Interval(**group["ahead_of"][second])
    metric = findings.metric
    means = [score(metric, one["val_score"]["mean"]) for one in (best, next_best)]
    degree = "better than that of" if len(findings.arms) == 2 else "best, before that of"
    if abs(difference.mean) < NO_DIFFERENCE:
        degree = "the same as that of"
    resolved = "is resolved" if difference.is_resolved else "is not resolved: the two cannot be told apart"
    caveat = " ".join(["", *_caveat(findings)])
    return (
        f"the best candidate of {first} confirmed {degree} {second}: {findings.metric_name} {means[0]} "
        f"against {means[1]} ({change(metric, difference)}, {gains.over_val(findings)}); "
        f"this difference {resolved}.{caveat}"
    )


def could(findings: Findings) -> list[str]:
    """What the comparison of the best arm with the next could resolve, of one search each."""
    leaders = list(findings.leaders())
    if len(findings.study.compared) != 1 or findings.study.search.searches > 1 or len(leaders) < 2:
        return []
    [group] = findings.conclusion["arms"]
    return [
        f"Between {leaders[0]} and {leaders[1]}, {one}" for one in power.of_pair(findings, group, leaders[1])
    ]


def _caveat(findings: Findings) -> list[str]:
    """That one search of each says little of what searches."""
    if set(findings.study.compared) <= {"engine", "sampler", "pruner"}:
        return ["It is of two configurations: other searches would find others ([search] searches)."]
    return []


def _of_searches(findings: Findings) -> str:
    """Which arm's searches find the better configurations, over so many searches of each, or why not."""
    [key], searches = findings.study.compared, findings.study.search.searches
    leaders, groups = findings.leaders(), findings.conclusion["arms"]
    missing = " or ".join(arm for arm in findings.arms if arm not in leaders)
    if not groups or not groups[0]["ahead_of"]:
        return f"Which {key} is better stays open: none of the confirmed candidates is of {missing}."
    absent = f" No candidate of {missing} was confirmed." if missing else ""
    [group] = groups
    best, metric, second = group["best"], findings.metric, _second(group)
    difference = Interval(**group["ahead_of"][second])
    resolved = "is resolved" if difference.is_resolved else "is not resolved: the two cannot be told apart"
    return (
        f"Compared by {key}, over {searches} searches of each: what a search of {best} finds has, on fresh "
        f"seeds, a {findings.metric_name} of {score(metric, group['means'][best])}, that of {second} "
        f"{score(metric, group['means'][second])} ({change(metric, difference)}, over "
        f"{_over_searches(findings)}); this difference {resolved}.{_chance(group, second)}{absent}"
    )


def _over_searches(findings: Findings) -> str:
    """What the interval of a difference between arms that are searched several times covers."""
    is_bare = findings.conclusion["compared_over"] == "seeds"
    return "searches" if is_bare else f"searches and the validation {findings.noun}s"


def _chance(group: Mapping[str, Any], second: str) -> str:
    """How likely one more search of the best would beat one of the second; nothing for few searches."""
    found = group["improvement"][second]
    if found is None:
        return ""
    more = f"; {found['num_runs']:,} searches of each would show that" if found["num_runs"] else ""
    return (
        f" One more search of {group['best']} would beat one of {second} with probability "
        f"{found['mean']:.2f} (95 % interval {found['low']:.2f} to {found['high']:.2f}{more})."
    )


def _second(group: Mapping[str, Any]) -> str:
    """Of the others the one that comes nearest."""
    ahead: dict[str, dict[str, float]] = group["ahead_of"]
    return min(ahead, key=lambda arm: abs(ahead[arm]["mean"]))


def _of_pairs(findings: Findings) -> str:
    """Of two compared settings: which value of the first is best at each value of the second."""
    first, second = findings.study.compared
    told = [f"{group['at']}: {_of(findings, group['best'])}" for group in findings.conclusion["arms"]]
    nexts = [_next(group) for group in findings.conclusion["arms"]]
    resolved = [
        group["at"]
        for group, found in zip(findings.conclusion["arms"], nexts, strict=True)
        if found and found[1].is_resolved
    ]
    where = ", ".join(resolved) if resolved else "none of them"
    is_repeated = findings.study.search.searches > 1
    over = f"over {_over_searches(findings)}" if is_repeated else gains.over_val(findings)
    if not told:
        return f"Which {first} is better stays open at each {second}: too few searches have a confirmed best."
    return (
        f"Which {first} confirmed best at each {second}, in {findings.metric_name}: {', '.join(told)}. "
        f"The difference to the next best is resolved at {where} ({over})."
    )


def _of(findings: Findings, arm: str) -> str:
    """An arm's value of the first compared setting."""
    values = {one.name: one.compared for one in findings.study.arms}
    return setting(values[arm][next(iter(findings.study.compared))])


def _next(group: Mapping[str, Any]) -> tuple[str, Interval] | None:
    """The arm that comes next in a group, and by how much the best is ahead of it."""
    if not group["ahead_of"]:
        return None
    arm = _second(group)
    return arm, Interval(**group["ahead_of"][arm])


def _pairs(findings: Findings) -> Table:
    """Of two compared settings, each pair's best candidate on fresh seeds; below, the best's lead."""
    first, second = findings.study.compared.items()
    named = {tuple(arm.compared.values()): arm.group for arm in findings.study.arms}
    leaders, means = findings.leaders(), _means(findings)
    rows = []
    for value in second[1]:
        groups = [named[one, value] for one in first[1]]
        found = [leaders.get(group) for group in groups]
        cells = [score_range(findings.metric, one["val_score"]) if one else NOTHING for one in found]
        # Of several searches their mean.
        cells = [score(findings.metric, means.get(group)) for group in groups] if means else cells
        rows.append((setting(value), *cells, _lead(findings, str(value))))
    return [(second[0], *map(setting, first[1]), "The best before the next, 95 % interval"), *rows]


def _means(findings: Findings) -> dict[str, float]:
    """Of several searches of each arm, the mean of what their best have on fresh seeds."""
    groups = findings.conclusion["arms"]
    return {name: mean for one in groups for name, mean in one.get("means", {}).items()}


def figure(findings: Findings) -> Figure | None:
    """Of two compared settings, a line for each value of the first over the values of the second."""
    if len(findings.study.compared) < 2:
        return None
    (_, lines), (across, places) = findings.study.compared.items()
    named = {tuple(arm.compared.values()): arm.group for arm in findings.study.arms}
    leaders, drawn, caption = findings.leaders(), go.Figure(), CAPTION
    if means := _means(findings):
        # One mark for all searches of a pair: how far others would lie from it is in the table.
        leaders = {name: {"val_score": dict.fromkeys(ENDS, mean)} for name, mean in means.items()}
        caption = "A mark is the mean of all searches of a pair, by the best of each on fresh seeds."
    for index, value in enumerate(lines):
        points = [(place, leaders[named[value, place]]) for place in places if named[value, place] in leaders]
        ends = [scaled(findings.metric, [one["val_score"][end] for _, one in points]) for end in ENDS]
        drawn.add_scatter(
            x=[place for place, _ in points],
            y=ends[1],
            error_y={"array": ends[2] - ends[1], "arrayminus": ends[1] - ends[0], "thickness": 1},
            name=label(value),
            mode="lines+markers",
            line_color=PALETTE[index % len(PALETTE)],
        )
    numbers = [place for place in places if isinstance(place, (int, float))]
    is_wide = len(numbers) == len(places) and min(numbers) > 0 and max(numbers) / min(numbers) >= WIDE
    kind = "log" if is_wide else "linear" if len(numbers) == len(places) else "category"
    x = {"title": label(across), "type": kind, "tickvals": list(places), "ticktext": [*map(setting, places)]}
    style(drawn, 420, xaxis=x, yaxis_title=metric_name(findings))
    return Figure("pairs", f"What each {label(next(iter(findings.study.compared)))} reaches", caption, drawn)


def _lead(findings: Findings, at: str) -> str:
    """Which arm leads at a value of the second setting, and by how much."""
    group = next((one for one in findings.conclusion["arms"] if one["at"] == at), None)
    if group is None or (found := _next(group)) is None:
        return NOTHING
    by = change(findings.metric, found[1]).replace(", 95 % interval", ",")
    return f"{_of(findings, group['best'])} before {_of(findings, found[0])}: {by}"


def table(findings: Findings) -> Table:
    """What each arm spent and what it found; of two compared settings, what each pair's best reaches."""
    if len(findings.study.compared) > 1:
        return _pairs(findings)
    metric, leaders = findings.metric, findings.leaders()
    states = ("complete", "pruned", "failed")
    counted = ("Arm", "Trials", *map(str.capitalize, states), "Epochs trained")
    rows = []
    for arm in findings.arms[:MOST_ROWS]:
        trials = findings.of_arm(arm)
        counts = [len(trials), *((trials["state"] == state).sum() for state in states)]
        scores = trials.loc[trials["state"] == "complete", "score"].astype(float)
        best = scores.max() if findings.study.objective.is_maximized else scores.min()
        rows.append((
            arm,
            *map(str, counts),
            f"{int(trials['epochs'].fillna(0).sum()):,}",
            score(metric, best),
            score_range(metric, leaders[arm]["val_score"]) if arm in leaders else NOTHING,
        ))  # fmt: skip
    return [(*counted, "Best score in search", f"Its best, confirmed {RANGE}"), *rows]
