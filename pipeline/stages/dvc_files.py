"""What DVC keeps for itself: its list of processes, and dvc.lock; put right while no DVC runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.files import is_alive, is_locked, write_bytes
from pipeline.stages.finding import Finding
from pipeline.stages.project import Project


def check(project: Project) -> Iterator[Finding]:
    """What keeps `dvc repro` from running, though no DVC runs."""
    folder = project.root / ".dvc" / "tmp"
    rwlock, lock = folder / "rwlock", project.root / "dvc.lock"
    if is_locked(folder / "lock") or is_locked(folder / "rwlock.lock") or _is_dvc_alive(rwlock):
        return
    if rwlock.is_file() and not _is_idle(content := rwlock.read_text(errors="replace")):
        pids = ", ".join(map(str, _pids(content)))
        what = f"names processes that are dead: {pids}" if pids else "is empty or damaged"
        yield Finding(f"DVC: .dvc/tmp/rwlock {what}; no DVC runs.", "it is removed", partial(_remove, rwlock))
    if lock.is_file() and not _is_lock(lock.read_bytes()):
        yield _damaged(project.root, lock)


def heal(project: Project) -> Iterator[str]:
    """Put right what keeps `dvc repro` from running, where that loses nothing; a sentence for each."""
    for found in check(project):
        if found.mend is not None:
            found.mend()
            yield f"{found.what} Now {found.cure}."


def _is_idle(content: str) -> bool:
    """Whether it is DVC's list, and nobody is on it."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return (
        isinstance(found, dict)
        and {*found} <= {"read", "write"}
        and all(each == {} for each in found.values())
    )


def _pids(content: str) -> list[int]:
    """The processes that the list names, also where it is damaged."""
    return sorted({int(pid) for pid in re.findall(r'"pid":\s*(\d{1,9})\b', content)})


def _is_dvc_alive(rwlock: Path) -> bool:
    content = rwlock.read_text(errors="replace") if rwlock.is_file() else ""
    return any(is_alive(pid) and _may_be_dvc(pid) for pid in _pids(content))


def _may_be_dvc(pid: int) -> bool:
    """Whether nothing speaks against it: after a restart the number may be another program's."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    # A process that has only just been started shows no words yet.
    return not words or b"dvc" in words


def _remove(rwlock: Path) -> None:
    """Remove it under the lock that DVC edits it with, unless a DVC has come in the meantime."""
    with suppress(Timeout), FileLock(f"{rwlock}.lock", timeout=5):
        if not _is_dvc_alive(rwlock):
            rwlock.unlink(missing_ok=True)


def _is_lock(content: bytes) -> bool:
    try:
        found = YAML(typ="safe").load(content)
    except (YAMLError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("stages", {}), dict) and "schema" in found


def _damaged(root: Path, lock: Path) -> Finding:
    is_empty = not lock.read_bytes().strip()
    sentence = f"DVC: dvc.lock is {'empty' if is_empty else 'damaged'}, so every dvc repro is refused."
    known = _from_git(root)
    if known is not None:
        return Finding(sentence, "git's last version is put there", partial(write_bytes, lock, known))
    if is_empty:
        return Finding(
            sentence, "it is removed; nothing is trained again", partial(lock.unlink, missing_ok=True)
        )
    return Finding(sentence, "Remove it: the next dvc repro makes a new one and trains nothing again.")


def _from_git(root: Path) -> bytes | None:
    """dvc.lock as git has it, if it is good there."""
    git = shutil.which("git")
    if git is None:
        return None
    # A hook's variables would lead to another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    words = [git, "-C", str(root), "show", "HEAD:./dvc.lock"]
    try:
        asked = subprocess.run(words, capture_output=True, timeout=30, check=False, env=kept)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout if asked.returncode == 0 and _is_lock(asked.stdout) else None
