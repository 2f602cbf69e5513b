"""Files that are whole or not there: written aside, synced, then renamed. And a lock with a name on it."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import os
import platform
import resource
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from pipeline.errors import StoreError


def streams() -> tuple[IO[str], IO[str]]:
    """Standard input and output of a process that takes orders and replies, a line each, for it alone.

    Any other code in it reads nothing, and what it prints goes to standard error: none of that may stand
    between the lines.
    """
    orders, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w", buffering=1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return orders, replies


@contextmanager
def quiet() -> Iterator[None]:
    """Libraries greet on standard error, below Python's reach, whatever their settings."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def hold_data(num_bytes: int) -> None:
    """Let this process have so many bytes of data at most, or what it is held to already if that is less."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = num_bytes if most == resource.RLIM_INFINITY else min(num_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all."""
    with _placed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = _aside(path)
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


def read_json(path: Path, advice: str) -> dict[str, Any]:
    """The JSON object at `path`.

    Raises:
        StoreError: it cannot be read, or is no JSON object; `advice` says what to do then.
    """
    try:
        value = json.loads(path.read_bytes())
    # The second is also what broken JSON and broken UTF-8 raise.
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError.of("the file must be as it was written.", error, advice, str(path)) from error
    if not isinstance(value, dict):
        received = type(value).__name__
        raise StoreError.of("the file must be as it was written.", received, advice, str(path))
    return value


def write_folder(path: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` make a folder's content aside, then put the folder at `path`, in the old one's place."""
    with _placed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        aside, old = _aside(path), _aside(path, "old.aside")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        try:
            fill(aside)
            for made in [aside, *aside.rglob("*")]:
                _sync(made)
            if path.is_dir():
                path.replace(old)
            aside.replace(path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
            # Whatever came between the two renames, the old folder must stand again.
            if old.exists() and not path.exists():
                old.replace(path)
            _remove(old)
        sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Take a folder away, whole: a kill in the middle leaves a leftover of its name, never half of it."""
    with _placed(path):
        aside = _aside(path)
        path.replace(aside)
        sync_folder(path.parent)
        _remove(aside)


def _remove(folder: Path) -> None:
    """Remove a folder, or the link that stood for one and not what it leads to."""
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _aside(path: Path, what: str = "aside") -> Path:
    """A name beside `path` that no other thread of any process uses."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_native_id()}.{what}")


def place(aside: Path, path: Path) -> None:
    """Put a file that another program has written at `path`, synced first."""
    _sync(aside)
    aside.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in `folder` survive a power cut."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_sha256(path: Path) -> str:
    """The SHA-256 of a Python file's code without comments, docstrings and layout: they change no result."""
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


@cache
def package_code(names: tuple[str, ...]) -> str:
    """The SHA-256 of files and folders of this package, of Python without comments, docstrings and layout."""
    root, found = Path(__file__).parent, {}
    for name in names:
        for path in sorted([root / name] if (root / name).is_file() else (root / name).rglob("*.py")):
            read = code_sha256 if path.suffix == ".py" else sha256
            found[str(path.relative_to(root))] = read(path)
    return digest(found)


def refuse_torn(database: sqlite3.Connection, path: Path) -> None:
    """Pass over an SQLite file of whole pages: SQLite itself takes what is missing of the last one for zeros.

    Raises:
        sqlite3.DatabaseError: the file is cut short; or another reason why it cannot be read.
    """
    # What a power cut has left half-way is put right by the first who reads, so this comes first.
    [(page_bytes,)] = database.execute("PRAGMA page_size")
    database.execute("SELECT count(*) FROM sqlite_master").fetchall()
    if path.stat().st_size % page_bytes:
        raise sqlite3.DatabaseError("the file is cut short")


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
    lock = FileLock(f"{path}.lock")
    holder = path.with_name(f"{path.name}.holder")
    with _placed(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            received = f"it is held by {_holder(holder)}"
            must, advice = (
                f"{what} must be run by one process at a time.",
                "Wait for it, or stop that process.",
            )
            raise StoreError.of(must, received, advice, str(path)) from error
    try:
        # The name is a courtesy: a full disk must not stop what needs no disk.
        with suppress(OSError):
            holder.write_text(f"process {os.getpid()} on {platform.node()}\n")
        yield
    finally:
        # While the lock is held, nobody else writes a name here.
        with suppress(OSError):
            holder.unlink()
        lock.release()


def holder_of(path: Path) -> str:
    """Who holds `path` now, in words; empty where nobody does. Leaves everything as it is."""
    return _holder(path.with_name(f"{path.name}.holder")) if is_locked(Path(f"{path}.lock")) else ""


def is_locked(lock: Path) -> bool:
    """Whether a living process holds this lock file."""
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def is_alive(pid: int) -> bool:
    """Whether a process of this number lives on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _holder(holder: Path) -> str:
    """Who holds a lock, in words."""
    try:
        name = holder.read_text(errors="replace").strip()
    except OSError:
        name = ""
    return name or "a process that has not given its name"


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
