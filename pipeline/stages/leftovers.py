"""What dead processes have left in a project's files: half-written ones, and DVC's lists and locks.

Every command looks for what keeps DVC from running, so nothing heavy is imported here.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import PipelineError
from pipeline.files import is_alive, is_locked, write_bytes
from pipeline.records.project import Project
from pipeline.training import slots

MAX_NAMED = 8
# As `files`, the MLflow store and the training processes name what is not whole yet.
ASIDE = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)(?:-\d+)?\.(?P<old>old\.)?aside(?:-journal|-wal|-shm)?")
WEIGHTS = re.compile(r"\.(?P<pid>\d+)\.weights\.\w+")


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        what: where, and what it is.
        cure: what mending does; without a `mend`, what a person has to do.
        mend: mends it, may be repeated, and may be killed at any time; None: a person has to.
    """

    what: str
    cure: str
    mend: Callable[[], object] | None = None


def from_error(error: PipelineError) -> Iterator[Finding]:
    """What an error says, as findings that a person has to mend."""
    for problem in error.problems:
        where = f"{problem.where}: " if problem.where else ""
        yield Finding(f"{where}{problem.must} Received: {problem.received}.", problem.advice)


def listed(names: Iterable[object]) -> str:
    """A few names in words: 3, 4, 5 and 2 more."""
    known = [str(name) for name in names]
    more = f" and {len(known) - MAX_NAMED} more" if len(known) > MAX_NAMED else ""
    return ", ".join(known[:MAX_NAMED]) + more


@dataclass(frozen=True)
class Leftover:
    """One file or folder of a dead process.

    Attributes:
        stood: where it stood before a new one was put there, if none is there now: it is the only one.
    """

    path: Path
    stood: Path | None = None

    def clear(self) -> None:
        """Remove it; the only one goes back to its place."""
        if not self.path.exists() and not self.path.is_symlink():
            return
        if self.stood is not None:
            self.path.replace(self.stood)
        elif self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.path.unlink()


def of_study(project: Project, name: str) -> list[Leftover]:
    """What was left of the study: beside its results, its data and its records."""
    places = [
        *project.folder(name).glob(".*"),
        *project.data(name).parent.glob(f".{name}.*"),
        *project.work(name).rglob(".*"),
    ]
    return sorted(_found(places), key=lambda one: one.path)


def of_project(project: Project) -> list[Leftover]:
    """What was left of what all studies share: the list of studies and MLflow's database."""
    places = [*project.root.glob(".params.yaml.*"), *project.mlruns.glob(".*")]
    return sorted(_found(places), key=lambda one: one.path)


def _found(paths: Iterable[Path]) -> Iterator[Leftover]:
    for path in paths:
        match = ASIDE.fullmatch(path.name) or WEIGHTS.fullmatch(path.name)
        if match is None or is_alive(int(match["pid"])):
            continue
        named = match.groupdict()
        stood = path.with_name(named["name"]) if named.get("old") else None
        yield Leftover(path, stood if stood and not stood.exists() else None)


def half_written(project: Project, name: str = "") -> Iterator[Finding]:
    """What is to be said of what was left of a study; without a name, of what all studies share."""
    for each in of_study(project, name) if name else of_project(project):
        shown = each.path.relative_to(project.root)
        if each.stood is not None:
            sentence = f"{each.stood.name} was moved to {shown} and never came back; its writer is dead."
            yield Finding(sentence, "it is put back", each.clear)
        else:
            sentence = f"{shown} was left half-written by a process that is dead."
            yield Finding(sentence, "it is removed", each.clear)


def of_dvc(project: Project) -> Iterator[Finding]:
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


def here(is_healed: bool) -> tuple[Project, Iterable[str]]:
    """The project in this folder, and what is put right in it as the sentences are read.

    Raises:
        StudyError: the folder is no project, or the environment names no backend that is known.
    """
    # Looked at before anything is written or read: Keras would say it late and at length.
    slots()
    project = Project.here()
    return project, heal(project) if is_healed else ()


def heal(project: Project) -> Iterator[str]:
    """Put right what keeps `dvc repro` from running, where that loses nothing; a sentence for each."""
    for found in of_dvc(project):
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
