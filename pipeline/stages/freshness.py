"""Whether result files are those of the study as it is now, as far as records and files can tell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.stages import fingerprint, search
from pipeline.stages.project import Project
from pipeline.stages.recorded import LEDGER, read
from pipeline.stages.selection import candidates
from pipeline.study import Study


def check_search(project: Project, study: Study, card: Mapping[str, Any]) -> None:
    """Pass over a trials.csv that the record of the study's search, where there is one, would give.

    Raises:
        DataError: the search as the study now describes it is not finished, or has given other trials.
    """
    path = project.folder(study.name) / "trials.csv"
    told = {}
    for arm in study.arms:
        task = search.task_of(study, arm)
        key = fingerprint.key(fingerprint.facts(task.tables, card["sha256"]))
        folder = project.work(study.name) / task.folder_name(key)
        # Results may come from a machine whose records are not here.
        if not (folder / LEDGER).is_file():
            return
        told[arm.name] = read(folder).told
        if told[arm.name] is None or len(told[arm.name] or ()) < 1:
            raise _stale(path, f"the search {arm.name} stopped before its end", study.name)
    known = {name: outcomes or [] for name, outcomes in told.items()}
    if path.read_bytes() != search.files_of(study, known)["trials.csv"].encode():
        raise _stale(path, "other trials than the search has recorded", study.name)


def _stale(path: Path, received: str, name: str) -> DataError:
    must = "the trials must be those of the study as it is now."
    return DataError.of(must, received, f"Run: study search {name}", str(path))


def check_evidence(study: Study, folder: Path, evidence: Mapping[str, Any]) -> None:
    """Pass over evidence whose candidates are among those that trials.csv gives now.

    Raises:
        DataError: confirm has chosen among other trials.
    """
    path = folder / "trials.csv"
    known = {(one.arm, one.number, one.search_score) for one in candidates(study, path)}
    for one in evidence["candidates"]:
        if (one["arm"], one["number"], one["search_score"]) not in known:
            raise DataError.of(
                "confirm must have chosen among the trials that are there now.",
                f"{one['arm']} trial {one['number']}, which is no candidate any more",
                f"Run: study confirm {study.name}",
                str(folder / "winner" / "evidence.json"),
            )
