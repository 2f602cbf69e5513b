"""Files that a killed process has left half-written, told by their names from all others."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.files import is_alive
from pipeline.stages.project import Project

# As `files`, the MLflow store and the training processes name what is not whole yet.
ASIDE = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)(?:-\d+)?\.(?P<old>old\.)?aside(?:-journal|-wal|-shm)?")
WEIGHTS = re.compile(r"\.(?P<pid>\d+)\.weights\.\w+")


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
