"""The tables of a report: rows of plain text, the first one the header, escaped by whoever prints them."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import pandas as pd

from pipeline.report.findings import Findings
from pipeline.space import Value
from pipeline.statistics import Interval

Table = list[tuple[str, ...]]

SPLITS = ("train", "val", "test")
MOST_ROWS, MOST_CANDIDATES = 8, 16
MOST_CLASSES = 15
RANGE = "(95 % interval)"


def versus(findings: Findings) -> Table:
    """Baseline beside winner: the validation score, then the test split."""
    measures = {
        findings.metric_name.capitalize(): (findings.metric, "val_score"),
        "Test accuracy": ("accuracy", "test_accuracy"),
        "Test loss": ("loss", "test_loss"),
    }
    sides = [findings.conclusion[side] for side in ("baseline", "winner")]
    rows = [
        (title, *(score_range(metric, side[key]) for side in sides))
        for title, (metric, key) in measures.items()
    ]
    return [(f"Mean {RANGE}", "Baseline", "Winner"), *rows]


def settings(findings: Findings) -> Table:
    """Every hyperparameter that the model of baseline or winner has; what differs comes first."""
    learner = findings.study.learner
    sides = (findings.conclusion[side]["configuration"] for side in ("baseline", "winner"))
    before, after = (learner.read(configuration) for configuration in sides)
    known = [name for name in learner.hyperparameters if name in before or name in after]
    names = [*known, *sorted({*before, *after} - {*known})]
    names.sort(key=lambda name: before.get(name) == after.get(name))
    rows = [(name, setting(before.get(name)), setting(after.get(name))) for name in names]
    return [("Hyperparameter", "Baseline", "Winner"), *rows]


def candidates(findings: Findings) -> Table:
    """The confirmed candidates, best first: the score in the search, and that on fresh seeds."""
    metric, study = findings.metric, findings.study
    spaces = {arm.name: study.space_of(arm) for arm in study.arms}
    samplers = {arm.name: arm.sampler for arm in study.arms}
    is_named = len(study.arms) > 1
    is_sized = all("multiply_adds" in one for one in findings.conclusion["candidates"])
    rows = []
    for one in findings.conclusion["candidates"][:MOST_CANDIDATES]:
        used = spaces.get(one["arm"], study.space).active(one["configuration"])
        if samplers.get(one["arm"]) == "one_at_a_time":
            plain = study.baseline.configuration
            used = {name: value for name, value in used.items() if value != plain[name]}
        rows.append((
            f"{one['arm']}, trial {one['number']}" if is_named else f"trial {one['number']}",
            ", ".join(f"{name} {setting(value)}" for name, value in used.items()),
            score(metric, one["search_score"]),
            score_range(metric, one["val_score"]),
            change(metric, Interval(**one["over_baseline"])).replace(", 95 % interval", ","),
            gap(metric, one["optimism"]),
            *((_count(one["num_weights"]), f"{one['multiply_adds']:.1e}") if is_sized else ()),
        ))  # fmt: skip
    sizes = ("Weights", "Multiply-adds of training") if is_sized else ()
    confirmed = (f"Confirmed {RANGE}", f"Over the baseline {RANGE}", "Optimism")
    return [("Candidate", "Searched values", "In search", *confirmed, *sizes), *rows]


def _count(number: int) -> str:
    return f"{number:,}" if number else NOTHING


def classes(findings: Findings) -> Table:
    """Test precision and recall per class; of many classes, those that the winner finds least."""
    winner = findings.conclusion["winner"]["per_class"]
    before = {row["class"]: row["recall"]["mean"] for row in findings.conclusion["baseline"]["per_class"]}
    lowest = sorted(winner, key=lambda row: float(row["recall"]["mean"]))[:MOST_CLASSES]
    rows = [
        (
            shorten(row["class"]),
            str(row["support"]),
            score("accuracy", before.get(row["class"])),
            score_range("accuracy", row["recall"]),
            score("accuracy", row["precision"]["mean"]),
        )
        for row in winner
        if row in lowest
    ]
    return [
        ("Class", f"Test {findings.noun}s", "Baseline recall", f"Winner recall {RANGE}", "Winner precision"),
        *rows,
    ]


def splits(findings: Findings) -> Table:
    """How many inputs each split holds, and its smallest and largest class; empty where the card is bare."""
    rows = []
    held = findings.card.get("counts") or {}
    for split in (name for name in SPLITS if name in held):
        counts = [int(count) for count in held[split].values()]
        rows.append((split, *(f"{number:,}" for number in (sum(counts), min(counts), max(counts)))))
    inputs = f"{findings.noun.capitalize()}s"
    return [("Split", inputs, "In the smallest class", "In the largest class"), *rows] if rows else []


def left_out(findings: Findings) -> list[str]:
    """Which rows the tables above do not show, in sentences; nothing where they show all."""
    left = []
    # Of two compared settings every pair has its cell.
    if (rest := len(findings.arms) - MOST_ROWS) > 0 and len(findings.study.compared) < 2:
        left.append(f"{amount(rest, 'more arm')} in trials.csv.")
    if (rest := len(findings.conclusion["candidates"]) - MOST_CANDIDATES) > 0:
        left.append(f"{amount(rest, 'more candidate')} in confirm.csv.")
    if (rest := len(findings.classes) - MOST_CLASSES) > 0:
        left.append(f"Of the classes, the {MOST_CLASSES} with the lowest recall are shown; {rest} are not.")
    return left


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
    """A metric's mean with its interval, that of a share cut where no share can be; of no width, none."""
    if ends["low"] == ends["high"]:
        return score(metric, ends["mean"])
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
