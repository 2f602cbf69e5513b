"""What a study would run now, and where that would be recorded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pipeline.errors import DataError
from pipeline.stages import baseline, confirm, fingerprint, search
from pipeline.stages.project import Project
from pipeline.stages.selection import candidates
from pipeline.stages.task import Task
from pipeline.study import Study


def in_use(project: Project, study: Study, card: Mapping[str, Any]) -> dict[str, Task]:
    """What the study's stages would run now, by the name of the folder that keeps it.

    Without trials that can be confirmed, what confirm would run is not known.
    """
    tasks = [baseline.task_of(study), *(search.task_of(study, arm) for arm in study.arms)]
    path = project.folder(study.name) / "trials.csv"
    with suppress(DataError):
        tasks += [confirm.task_of(study, candidates(study, path))] if path.is_file() else []
    return {task.folder_name(fingerprint.key(facts_of(task, card))): task for task in tasks}


def facts_of(task: Task, card: Mapping[str, Any]) -> dict[str, Any]:
    """What the task's outcomes depend on here and now."""
    return fingerprint.facts(task.tables, card["sha256"])
