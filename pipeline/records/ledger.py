"""The local record of a search: JSON lines, each checked and synced before anything else hears of it."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.files import sync_folder
from pipeline.trial import Outcome


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
        with self._usable():
            return self.path.stat().st_size - self._num_bytes if self.path.exists() else 0

    def trim(self) -> None:
        """Cut the half line off."""
        with self._usable():
            if self.num_torn_bytes > 0:
                os.truncate(self.path, self._num_bytes)

    def append(self, outcome: Outcome, elapsed_seconds: float) -> None:
        """Keep an outcome; one that is already kept is not written again."""
        known = self.outcomes.get(outcome.trial.number)
        if known is not None and known.state == outcome.state and known.curve == outcome.curve:
            return
        line = _line({"outcome": outcome.as_record(), "elapsed_seconds": elapsed_seconds})
        with self._usable():
            self._write(line)
        self._num_bytes += len(line)
        self._note(outcome, elapsed_seconds)

    def _write(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        num_bytes = 0 if is_new else self.path.stat().st_size
        if num_bytes > self._num_bytes:
            # Half a line, of a kill or a full disk, could in the middle of the file not be told from damage.
            os.truncate(self.path, self._num_bytes)
        self._num_bytes = min(num_bytes, self._num_bytes)
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)

    def _note(self, outcome: Outcome, elapsed_seconds: float) -> None:
        self.outcomes[outcome.trial.number] = outcome
        self.elapsed_seconds = max(self.elapsed_seconds, elapsed_seconds)

    def _read(self) -> int:
        """Take in every whole line; how many bytes they have."""
        with self._usable():
            content = self.path.read_bytes() if self.path.exists() else b""
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

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError.of(
                "the record of the search must be readable and writable.",
                error.strerror or error,
                "Free space or mend the permissions, then run again: it goes on from here.",
                str(self.path),
            ) from error


def _line(record: dict[str, Any]) -> bytes:
    text = json.dumps(record, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _record(line: bytes) -> dict[str, Any] | None:
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    record: dict[str, Any] = json.loads(text)
    return record
