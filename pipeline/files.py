"""Files that are whole or not there: written aside, synced, then renamed. And a lock with a name on it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from pipeline.errors import StoreError


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all."""
    with _placed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
        try:
            with aside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """Put UTF-8 `text` at `path`, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Put `value` at `path` as readable JSON with sorted keys; a NaN is refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` make a folder's content aside, then put the folder at `path` in one rename."""
    with _placed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            fill(aside)
            if path.is_dir():
                shutil.rmtree(path)
            aside.replace(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(value: Any) -> str:
    """The SHA-256 of a JSON value, the same whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def held(path: Path, what: str) -> Iterator[None]:
    """Hold `what` alone; the lock goes with the process, also when it is killed.

    Raises:
        StoreError: another living process holds it; the message names that process.
    """
    with _placed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(f"{path}.lock")
    holder = path.with_name(f"{path.name}.holder")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        who = holder.read_text().strip() if holder.is_file() else "an unknown process"
        raise StoreError.of(
            f"{what} must be run by one process at a time.",
            f"it is held by {who}",
            "Wait for it, or stop that process, then run again.",
            str(path),
        ) from error
    try:
        holder.write_text(f"process {os.getpid()}\n")
        yield
    finally:
        lock.release()


@contextmanager
def _placed(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError.of(
            "the output must be writable.",
            error.strerror or error,
            "Free space or mend the permissions, then run again.",
            str(path),
        ) from error
