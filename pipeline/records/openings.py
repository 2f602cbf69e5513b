"""How often a study's test split was opened here, and for which configurations: lines that are only added.

A line is on the disk before the split is read, so that no kill hides a look; a look that a kill has prevented
counts as one. The file is no result: it says what was done in this copy of the project, and another copy that
gives the same bytes has one of its own. Hence no file that git or DVC keeps says what stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.files import digest
from pipeline.records.ledger import append_line, read_lines
from pipeline.space import Configuration

MEND = "Restore the file from a copy, or remove it: the openings before this one are then forgotten."


@dataclass(frozen=True)
class Opening:
    """One time that the test split was opened.

    Attributes:
        date: in UTC, to the second, as ISO 8601 has it.
        key: of the record whose models were measured.
        configurations: what was measured, by role: the winner's, the baseline's.
        data: the SHA-256 of the data.
    """

    date: str
    key: str
    configurations: Mapping[str, Configuration]
    data: str

    @property
    def subject(self) -> str:
        """What it was opened for; the same again is a repeat, whatever trained it."""
        return digest([{role: dict(one) for role, one in self.configurations.items()}, self.data])


def note_opening(path: Path, key: str, configurations: Mapping[str, Configuration], data: str) -> None:
    """Add an opening of now to the file, and see it on the disk.

    Raises:
        StoreError: the file cannot be written, or is damaged.
    """
    _, num_bytes = read_lines(path, MEND)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    told = {role: dict(one) for role, one in configurations.items()}
    append_line(path, num_bytes, {"date": now, "key": key, "configurations": told, "data": data})


def openings(path: Path) -> list[Opening]:
    """Every opening, in order; a last line that a kill has cut short is none: nothing was opened after it.

    Raises:
        StoreError: the file is damaged, or cannot be read.
    """
    lines: list[dict[str, Any]] = read_lines(path, MEND)[0]
    return [Opening(**line) for line in lines]


def num_subjects(known: Sequence[Opening]) -> int:
    """For how many different sets of configurations it was opened."""
    return len({one.subject for one in known})


def sentence(known: Sequence[Opening]) -> str:
    """How often the split was opened, and how often for others than the last time; empty: never."""
    if not known:
        return ""
    others = sum(one.subject != known[-1].subject for one in known)
    repeated = len(known) - num_subjects(known)
    if len(known) == 1:
        return "The test split was opened once."
    again = f"; {repeated} of them repeated an earlier one" if repeated else ""
    return f"The test split was opened {len(known)} times, {others} of them for other configurations{again}."
