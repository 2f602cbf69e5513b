"""Whether all rows of the result files are there: a file that lost its last lines looks like any other."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import DataError
from pipeline.stages.rows import read_rows


def check_trials(folder: Path, name: str) -> None:
    """Pass over trials.csv and curves.csv that speak of the same epochs.

    Raises:
        DataError: one of them is cut short, or they are of two searches.
    """
    path = folder / "trials.csv"
    with whole(path, "search", name):
        promised = {(row["arm"], row["number"]): int(row["epochs"]) for row in read_rows(path)}
    with whole(folder / "curves.csv", "search", name):
        found = Counter((row["arm"], row["number"]) for row in read_rows(folder / "curves.csv"))
    for key in sorted({*promised, *found}):
        count = found.get(key, 0)
        if promised.get(key, 0) != count:
            received = f"of trial {' '.join(key)}: {promised.get(key, 'no trial')}, {count} in curves.csv"
            raise DataError.of(
                "trials.csv and curves.csv must have the same epochs.",
                received,
                f"Run: study search {name}",
                str(path),
            )


def check_count(path: Path, num_rows: int, stage: str, name: str) -> None:
    """Pass over a file of so many rows.

    Raises:
        DataError: it is cut short, or has more or fewer.
    """
    with whole(path, stage, name):
        found = len(read_rows(path))
        if found != num_rows:
            raise ValueError(f"{found} rows where {num_rows} belong")


@contextmanager
def whole(path: Path, stage: str, name: str) -> Iterator[None]:
    """Turn what a damaged file of a stage throws at its reader into a DataError."""
    try:
        yield
    except (OSError, EOFError, ValueError, TypeError, KeyError, csv.Error) as error:
        received = str(error) or type(error).__name__
        advice = f"Run: study {stage} {name}"
        raise DataError.of("the file must be as its stage wrote it.", received, advice, str(path)) from error
