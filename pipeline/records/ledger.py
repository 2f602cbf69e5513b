"""The local record of a search: JSON lines, each checked and synced before anything else hears of it."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.files import sync_folder
from pipeline.trial import Outcome

MEND = "Restore the file from a copy, or remove its folder to search again."


class Ledger:
    """Outcomes by number, kept in a file that only grows.

    A last line that was cut short by a kill is left out, and overwritten by the next one; a line that is
    wrong anywhere else is refused. Reading changes nothing, so a search in flight may be looked at.

    Raises:
        StoreError: the file is damaged, or cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[int, Outcome] = {}
        self.elapsed_seconds = 0.0
        self._num_bytes = self._read()

    @property
    def num_torn_bytes(self) -> int:
        """How long the half line is that a kill has left at the end."""
        with _usable(self.path):
            return self.path.stat().st_size - self._num_bytes if self.path.exists() else 0

    def trim(self) -> None:
        """Cut the half line off."""
        with _usable(self.path):
            if self.num_torn_bytes > 0:
                os.truncate(self.path, self._num_bytes)

    def append(self, outcome: Outcome, elapsed_seconds: float) -> None:
        """Keep an outcome; one that is already kept is not written again."""
        known = self.outcomes.get(outcome.trial.number)
        if known is not None and known.state == outcome.state and known.curve == outcome.curve:
            return
        line = {"outcome": outcome.as_record(), "elapsed_seconds": elapsed_seconds}
        # The file may have been removed under a running search.
        with _usable(self.path):
            size = self.path.stat().st_size if self.path.exists() else 0
        self._num_bytes = min(self._num_bytes, size)
        self._num_bytes = append_line(self.path, self._num_bytes, line)
        self._note(outcome, elapsed_seconds)

    def _note(self, outcome: Outcome, elapsed_seconds: float) -> None:
        self.outcomes[outcome.trial.number] = outcome
        self.elapsed_seconds = max(self.elapsed_seconds, elapsed_seconds)

    def _read(self) -> int:
        """Take in every whole line; how many bytes they have."""
        records, num_bytes = read_lines(self.path)
        for record in records:
            self._note(Outcome.from_record(record["outcome"]), record["elapsed_seconds"])
        return num_bytes


def append_line(path: Path, num_bytes: int, record: Mapping[str, Any]) -> int:
    """Write a line behind the first `num_bytes` and see it on the disk; how many bytes are whole now.

    Raises:
        StoreError: the file cannot be written; nothing of the line counts then.
    """
    line = _line(record)
    with _usable(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        there = 0 if is_new else path.stat().st_size
        if there > num_bytes:
            # Half a line, of a kill or a full disk, could in the middle of the file not be told from damage.
            os.truncate(path, num_bytes)
        with path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(path.parent)
    return min(there, num_bytes) + len(line)


def read_lines(path: Path, advice: str = MEND) -> tuple[list[dict[str, Any]], int]:
    """Every whole line, and how many bytes they have; nothing of a file that is not there.

    Raises:
        StoreError: a line is damaged that is not the last, or the file cannot be read.
    """
    with _usable(path):
        content = path.read_bytes() if path.exists() else b""
    records: list[dict[str, Any]] = []
    position = 0
    while position < len(content):
        end = content.find(b"\n", position) + 1
        record = _record(content[position:end]) if end else None
        if record is None:
            if end in (0, len(content)):
                break
            number = content.count(b"\n", 0, position) + 1
            raise StoreError.of(
                "every line of the record must be as it was written.",
                f"line {number} is damaged",
                advice,
                str(path),
            )
        records.append(record)
        position = end
    return records, position


@contextmanager
def _usable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError.of(
            "the record of the search must be readable and writable.",
            error.strerror or error,
            "Free space or mend the permissions, then run again: it goes on from here.",
            str(path),
        ) from error


def _line(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    record: dict[str, Any] = json.loads(text)
    return record
