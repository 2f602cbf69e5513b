"""Small result files as rows: exact numbers, no time stamps, nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.files import write_text
from pipeline.space import Choice, Dimension, Space, Value
from pipeline.trial import Outcome

# What a spreadsheet would run, behind any number of apostrophes: with one more, each text stays its own.
FORMULA = re.compile(r"'*[=+\-@\t\n]")


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Put rows at `path` as CSV, whole or not at all."""
    write_text(path, as_csv(columns, rows))


def as_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV; what is missing or None is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _inert(value) for name, value in row.items()})
    return text.getvalue()


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, every cell as the text that was written.

    Raises:
        ValueError, csv.Error: the file is cut short; a cut between two lines shows in their number alone.
    """
    text = path.read_bytes().decode()
    if not text.endswith("\n"):
        raise ValueError("a last line that is cut short")
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    return [{name: plain(cell) for name, cell in row.items()} for row in rows]


def trial_columns(space: Space, metrics: Iterable[str]) -> list[str]:
    """The columns of trials.csv."""
    return ["arm", "number", "state", *space.names, "epochs", *metrics, "score", "reason"]


def trial_row(arm: str, outcome: Outcome, metrics: Iterable[str]) -> dict[str, Any]:
    """One trial of trials.csv: the searched values that count, the metrics of the epoch that is scored."""
    return {
        "arm": arm,
        "number": outcome.trial.number,
        "state": outcome.state,
        **outcome.trial.values,
        "epochs": len(outcome.curve),
        **{name: outcome.metrics.get(name) for name in metrics},
        "score": outcome.score,
        "reason": outcome.reason,
    }


def curve_rows(names: Mapping[str, Any], outcome: Outcome, metrics: Iterable[str]) -> list[dict[str, Any]]:
    """One row per epoch, `names` in front."""
    return [
        {**names, "epoch": epoch, **{name: values.get(name) for name in metrics}}
        for epoch, values in enumerate(outcome.curve, start=1)
    ]


def values_of(row: Mapping[str, str], space: Space) -> dict[str, Value]:
    """The searched values of a row of trials.csv, in the types of the space.

    Raises:
        KeyError, ValueError: the row is not of this space.
    """
    return {entry.name: _value(row[entry.name], entry) for entry in space if row[entry.name] != ""}


def _value(cell: str, entry: Dimension) -> Value:
    if isinstance(entry.values, Choice):
        return {str(value): value for value in entry.values.values}[cell]
    value = int(cell) if entry.values.is_int else float(cell)
    if not entry.values.holds(value):
        raise ValueError(f"{entry.name} {cell} lies outside the space")
    return value


def _inert(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula gets an apostrophe in front; `plain` undoes it."""
    if not isinstance(value, str):
        return value
    # A lone carriage return would end the row for whoever reads it.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    return f"'{text}" if FORMULA.match(text) else text


def plain(cell: Any) -> Any:
    """The text that `_inert` made a cell of; what is no text stays as it is."""
    is_marked = isinstance(cell, str) and cell.startswith("'") and FORMULA.match(cell)
    return cell[1:] if is_marked else cell
