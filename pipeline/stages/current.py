"""What a study would run now, and where that would be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from pipeline.data import load_card
from pipeline.errors import DataError, StudyError
from pipeline.records import fingerprint
from pipeline.records.project import Project
from pipeline.records.recorded import Recorded, Task, readable
from pipeline.stages import baseline, confirm, search
from pipeline.stages.selection import select
from pipeline.study import Study


def in_use(project: Project, study: Study, card: Mapping[str, Any]) -> dict[str, Task]:
    """What the study's stages would run now, by the name of the folder that keeps it.

    Without trials that can be confirmed, what confirm would run is not known.
    """
    tasks = [baseline.task_of(study), *(search.task_of(study, arm) for arm in study.arms)]
    path = project.folder(study.name) / "trials.csv"
    with suppress(DataError):
        tasks += [confirm.task_of(study, select(study, path))] if path.is_file() else []
    return {task.folder_name(fingerprint.key(facts_of(task, card))): task for task in tasks}


def facts_of(task: Task, card: Mapping[str, Any]) -> dict[str, Any]:
    """What the task's outcomes depend on here and now."""
    return fingerprint.facts(task.tables, card["sha256"])


@dataclass(frozen=True)
class Looked:
    """A study that is looked at, afresh by each check: the ones before it may have mended something."""

    project: Project
    name: str

    @property
    def study(self) -> Study | None:
        """The study as its file says now; None where the file has problems."""
        try:
            return self.project.study(self.name)
        except StudyError:
            return None

    @property
    def card(self) -> Mapping[str, Any] | None:
        """The data card; None where no data are prepared."""
        try:
            return load_card(self.project.data(self.name))
        except DataError:
            return None

    @property
    def records(self) -> list[Recorded]:
        """Every record that can be read."""
        return list(readable(self.project, self.name))

    def in_use(self) -> dict[str, Task]:
        """What the study would run now, by the folder of its record; empty where that cannot be known."""
        study, card = self.study, self.card
        return in_use(self.project, study, card) if study and card else {}
