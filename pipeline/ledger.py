"""The local record of a search: JSON lines, each checked and synced before anything else hears of it."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.files import sync_folder
from pipeline.trial import Outcome


class Ledger:
    """Outcomes by number, kept in a file that only grows.

    A last line that was cut short by a kill is dropped; a line that is wrong anywhere else is refused.

    Raises:
        StoreError: the file is damaged, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[int, Outcome] = {}
        self.elapsed_seconds = 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read()
        if path.exists() and path.stat().st_size > whole:
            os.truncate(path, whole)

    def append(self, outcome: Outcome, elapsed_seconds: float) -> None:
        """Keep an outcome; one that is already kept is not written again."""
        known = self.outcomes.get(outcome.trial.number)
        if known is not None and known.state == outcome.state and known.curve == outcome.curve:
            return
        line = _line({"outcome": outcome.as_record(), "elapsed_seconds": elapsed_seconds})
        start = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            # Half a line in the middle of the file could never be told from damage.
            os.truncate(self.path, start)
            raise StoreError.of(
                "the record of the search must be writable.",
                error.strerror,
                "Free space or mend the permissions, then run again: it goes on from here.",
                str(self.path),
            ) from error
        if start == 0:
            sync_folder(self.path.parent)
        self._note(outcome, elapsed_seconds)

    def _note(self, outcome: Outcome, elapsed_seconds: float) -> None:
        self.outcomes[outcome.trial.number] = outcome
        self.elapsed_seconds = max(self.elapsed_seconds, elapsed_seconds)

    def _read(self) -> int:
        """Take in every whole line; how many bytes they have."""
        if not self.path.exists():
            return 0
        content = self.path.read_bytes()
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
                    "Restore the file from a copy, or remove its folder to search again.",
                    str(self.path),
                )
            self._note(Outcome.from_record(record["outcome"]), record["elapsed_seconds"])
            position = end
        return position


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    record: dict[str, Any] = json.loads(text)
    return record
