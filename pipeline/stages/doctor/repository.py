"""What DVC keeps for itself: its list of who reads and writes what, and dvc.lock."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.files import is_alive, is_locked, write_bytes
from pipeline.stages.doctor.finding import Finding, listed
from pipeline.stages.project import Project

PLACE = "DVC"


def differences(project: Project) -> Iterator[Finding]:
    """What keeps `dvc repro` from running, though no DVC runs."""
    folder = project.root / ".dvc" / "tmp"
    if is_locked(folder / "lock") or is_locked(folder / "rwlock.lock"):
        return
    yield from _rwlock(folder / "rwlock")
    lock = project.root / "dvc.lock"
    if lock.is_file() and not _is_lock(lock.read_bytes()) and not _living(folder / "rwlock"):
        yield from _lock(project.root, lock)


def heal(project: Project) -> Iterator[str]:
    """Put right what keeps `dvc repro` from running, where that loses nothing; a sentence for each."""
    for found in differences(project):
        if found.mend is not None:
            found.mend()
            yield f"{found.sentence} Now {found.cure}."


def _rwlock(path: Path) -> Iterator[Finding]:
    if not path.is_file() or _living(path):
        return
    content = path.read_text(errors="replace")
    if not _is_rwlock(content):
        what = "empty" if not content.strip() else "damaged"
        sentence = f".dvc/tmp/rwlock is {what}, so every dvc repro is refused; no DVC runs."
        yield Finding(PLACE, sentence, "it is removed", partial(_remove_rwlock, path))
    elif pids := _pids(content):
        sentence = f".dvc/tmp/rwlock names processes that are dead: {listed(pids)}."
        yield Finding(PLACE, sentence, "it is removed", partial(_remove_rwlock, path))


def _is_rwlock(content: str) -> bool:
    """Whether DVC could read it: {"read": {path: [process]}, "write": {path: process}}."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict) or not {*found} <= {"read", "write"}:
        return False
    reads, writes = found.get("read", {}), found.get("write", {})
    if not isinstance(reads, dict) or not isinstance(writes, dict):
        return False
    if not all(isinstance(each, list) for each in reads.values()):
        return False
    return all(
        _is_process(one) for one in [*writes.values(), *(one for each in reads.values() for one in each)]
    )


def _is_process(found: Any) -> bool:
    return isinstance(found, dict) and isinstance(found.get("pid"), int) and isinstance(found.get("cmd"), str)


def _pids(content: str) -> list[int]:
    """The processes that the list names, also where it is damaged."""
    return sorted({int(pid) for pid in re.findall(r'"pid":\s*(\d{1,9})\b', content)})


def _living(path: Path) -> list[int]:
    """Those of them that live and are DVC, as far as that can be seen."""
    content = path.read_text(errors="replace") if path.is_file() else ""
    return [pid for pid in _pids(content) if is_alive(pid) and _may_be_dvc(pid)]


def _may_be_dvc(pid: int) -> bool:
    """Whether nothing speaks against it: after a restart the number may be another program's."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True
    # A process that has only just been started shows no words yet.
    return not words or b"dvc" in words


def _remove_rwlock(path: Path) -> None:
    """Remove it under the lock that DVC edits it with, unless a DVC has come in the meantime."""
    try:
        with FileLock(f"{path}.lock", timeout=5):
            if not _living(path):
                path.unlink(missing_ok=True)
    except Timeout:
        # A DVC that edits the list is alive: what is left of the finding is said again.
        return


def _is_lock(content: bytes) -> bool:
    try:
        found = YAML(typ="safe").load(content)
    except (YAMLError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and isinstance(found.get("stages", {}), dict) and "schema" in found


def _lock(root: Path, lock: Path) -> Iterator[Finding]:
    what = "empty" if not lock.read_bytes().strip() else "damaged"
    sentence = f"dvc.lock is {what}, so every dvc repro is refused."
    known = _from_git(root)
    if known is None and not lock.read_bytes().strip():
        yield Finding(
            PLACE, sentence, "it is removed; nothing is trained again", partial(lock.unlink, missing_ok=True)
        )
    elif known is None:
        advice = "Remove it: the next dvc repro makes a new one, and what is recorded is not trained again."
        yield Finding(PLACE, sentence, advice)
    else:
        yield Finding(PLACE, sentence, "git's last version is put there", partial(write_bytes, lock, known))


def _from_git(root: Path) -> bytes | None:
    """dvc.lock as git has it, if it is good there."""
    git = shutil.which("git")
    if git is None:
        return None
    # A hook's variables would lead to another repository.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        asked = subprocess.run(
            [git, "-C", str(root), "show", "HEAD:./dvc.lock"],
            capture_output=True,
            timeout=30,
            check=False,
            env=kept,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return asked.stdout if asked.returncode == 0 and _is_lock(asked.stdout) else None
