"""The tables of a report: frames of plain text, one row per line, escaped by whoever prints them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.report import wording
from pipeline.report.findings import Findings

SPLITS = ("train", "val", "test")
MOST_ROWS = 8
MOST_CLASSES = 15
RANGE = "(95 % interval)"


def versus(findings: Findings) -> pd.DataFrame:
    """Baseline beside winner: the validation score, then the test split."""
    metric = findings.metric
    sides = [findings.evidence[side] for side in ("baseline", "winner")]
    rows = [
        (
            wording.METRICS[metric].capitalize(),
            *(wording.score_range(metric, side["val_score"]) for side in sides),
        ),
        ("Test accuracy", *(wording.percent_range(side["test_accuracy"]) for side in sides)),
        ("Test loss", *(wording.score_range("loss", side["test_loss"]) for side in sides)),
    ]
    return _frame((f"Mean {RANGE}", "Baseline", "Winner"), rows)


def settings(findings: Findings) -> pd.DataFrame:
    """Every hyperparameter of baseline and winner; what differs comes first."""
    before, after = (findings.evidence[side]["configuration"] for side in ("baseline", "winner"))
    known = [name for name in findings.study.learner.hyperparameters if name in before or name in after]
    names = [*known, *sorted({*before, *after} - {*known})]
    names.sort(key=lambda name: before.get(name) == after.get(name))
    rows = [(name, wording.setting(before.get(name)), wording.setting(after.get(name))) for name in names]
    return _frame(("Hyperparameter", "Baseline", "Winner"), rows)


def arms(findings: Findings) -> pd.DataFrame:
    """What each arm spent and what it found."""
    metric, leaders = findings.metric, findings.leaders()
    header = (
        "Arm",
        "Trials",
        "Complete",
        "Pruned",
        "Failed",
        "Epochs trained",
        "Best score in search",
        f"Its best, confirmed {RANGE}",
    )
    rows = []
    for arm in findings.arms[:MOST_ROWS]:
        trials = findings.of_arm(findings.trials, arm)
        states = trials["state"].value_counts()
        leader = leaders.get(arm)
        rows.append(
            (
                arm,
                str(len(trials)),
                *(str(states.get(state, 0)) for state in ("complete", "pruned", "failed")),
                f"{int(trials['epochs'].fillna(0).sum()):,}",
                wording.score(metric, _best(findings, trials)),
                wording.score_range(metric, leader["val_score"]) if leader else wording.NOTHING,
            )
        )
    return _frame(header, rows)


def candidates(findings: Findings) -> pd.DataFrame:
    """The confirmed candidates, best first: what the search promised, what fresh seeds gave."""
    metric = findings.metric
    header = ("Candidate", "Searched values", "In search", f"Confirmed {RANGE}", "Optimism")
    rows = [
        (
            _trial(findings, candidate),
            _searched(findings, candidate["configuration"]),
            wording.score(metric, candidate["search_score"]),
            wording.score_range(metric, candidate["val_score"]),
            wording.gap(metric, candidate["optimism"]),
        )
        for candidate in findings.evidence["candidates"][:MOST_ROWS]
    ]
    return _frame(header, rows)


def classes(findings: Findings) -> pd.DataFrame:
    """Test precision and recall per class; of many classes, those that the winner finds least."""
    winner = findings.evidence["winner"]["per_class"]
    before = {row["class"]: row for row in findings.evidence["baseline"]["per_class"]}
    shown = {row["class"] for row in sorted(winner, key=_recall)[:MOST_CLASSES]}
    header = ("Class", "Test images", "Baseline recall", f"Winner recall {RANGE}", "Winner precision")
    rows = [
        (
            wording.shorten(row["class"]),
            str(row["support"]),
            wording.percent(before[row["class"]]["recall"]["mean"]) if row["class"] in before else "-",
            wording.percent_range(row["recall"]),
            wording.percent(row["precision"]["mean"]),
        )
        for row in winner
        if row["class"] in shown
    ]
    return _frame(header, rows)


def splits(card: Mapping[str, Any]) -> pd.DataFrame:
    """How many images each split holds, and its smallest and largest class."""
    rows = []
    held = card.get("counts") or {}
    for split in (name for name in SPLITS if name in held):
        counts = [int(count) for count in held[split].values()]
        rows.append((split, *(f"{number:,}" for number in (sum(counts), min(counts), max(counts)))))
    return _frame(("Split", "Images", "In the smallest class", "In the largest class"), rows)


def left_out(findings: Findings) -> list[str]:
    """Which rows the tables above do not show, in sentences; nothing where they show all."""
    left = []
    if (rest := len(findings.arms) - MOST_ROWS) > 0:
        left.append(f"{wording.amount(rest, 'more arm')} in trials.csv.")
    if (rest := len(findings.evidence["candidates"]) - MOST_ROWS) > 0:
        left.append(f"{wording.amount(rest, 'more candidate')} in confirm.csv.")
    if (rest := len(findings.evidence["winner"]["per_class"]) - MOST_CLASSES) > 0:
        left.append(f"Of the classes, the {MOST_CLASSES} with the lowest recall are shown; {rest} are not.")
    return left


def _frame(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(header), dtype=str)


def _best(findings: Findings, trials: pd.DataFrame) -> float | None:
    scores = trials.loc[trials["state"] == "complete", "score"].astype(float)
    if scores.empty:
        return None
    return float(scores.max() if findings.study.objective.is_maximized else scores.min())


def _trial(findings: Findings, candidate: Mapping[str, Any]) -> str:
    number = f"trial {candidate['number']}"
    return f"{candidate['arm']}, {number}" if findings.study.compared else number


def _searched(findings: Findings, configuration: Mapping[str, Any]) -> str:
    used = findings.study.space.active(configuration)
    return ", ".join(f"{name} {wording.setting(value)}" for name, value in used.items())


def _recall(row: Mapping[str, Any]) -> float:
    return float(row["recall"]["mean"])
