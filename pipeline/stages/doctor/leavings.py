"""What dead processes have left: half-written files, and names on locks that nobody holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from pipeline.files import is_locked
from pipeline.stages import leftovers
from pipeline.stages.doctor.finding import Finding, Patient
from pipeline.stages.leftovers import Leftover
from pipeline.stages.project import Project

PLACE = "files"


def of_study(patient: Patient) -> Iterator[Finding]:
    """Leftovers of one study, and its stale lock."""
    project, name = patient.project, patient.name
    yield from _said(project, leftovers.of_study(project, name))
    lock = project.lock(name)
    holder = lock.with_name(f"{lock.name}.holder")
    own = f"process {os.getpid()} "
    if not holder.is_file() or is_locked(lock.with_name(f"{lock.name}.lock")):
        return
    who = " ".join(holder.read_text(errors="replace").split())
    if own not in who:
        sentence = (
            f"{holder.relative_to(project.root)} names {who or 'nobody'}, which no longer holds {name}."
        )
        yield Finding(PLACE, sentence, "the name is removed", _released)


def _released() -> None:
    """Whoever mends has taken the lock: that puts another name there, and takes it away in the end."""


def of_project(project: Project) -> Iterator[Finding]:
    """Leftovers of what all studies share."""
    yield from _said(project, leftovers.of_project(project))


def _said(project: Project, found: Iterable[Leftover]) -> Iterator[Finding]:
    for one in found:
        shown = one.path.relative_to(project.root)
        if one.stood is not None:
            sentence = f"{one.stood.name} was moved to {shown} and never came back; its writer is dead."
            yield Finding(PLACE, sentence, "it is put back", one.clear)
        else:
            sentence = f"{shown} was left half-written by a process that is dead."
            yield Finding(PLACE, sentence, "it is removed", one.clear)
