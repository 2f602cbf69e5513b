"""Whether result files are whole, and those of the study as it is now, as far as records can tell."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.errors import DataError
from pipeline.records import fingerprint
from pipeline.records.project import Project
from pipeline.records.recorded import LEDGER, Task, read, readable
from pipeline.records.rows import read_rows
from pipeline.stages import search
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
        facts = fingerprint.facts(task.tables, card["sha256"])
        key = fingerprint.key(facts)
        folder = project.work(study.name) / task.folder_name(key)
        if not (folder / LEDGER).is_file():
            _refuse_older(project, study.name, task, facts, path)
            return
        told[arm.name] = read(folder).told
        if told[arm.name] is None or len(told[arm.name] or ()) < 1:
            raise _stale(path, f"the search {arm.name} stopped before its end", study.name)
    known = {name: outcomes or [] for name, outcomes in told.items()}
    if path.read_bytes() != search.files_of(study, known)["trials.csv"].encode():
        raise _stale(path, "other trials than the search has recorded", study.name)


def _refuse_older(project: Project, name: str, task: Task, facts: Mapping[str, Any], path: Path) -> None:
    """Raise if what is recorded here of the search depends on something else than it would now.

    Results without any record may come from another machine.
    """
    older = [
        one
        for one in readable(project, name)
        if (one.task.stage, one.task.arm) == ("search", task.arm) and one.outcomes
    ]
    if older:
        last = max(older, key=lambda one: (one.folder / LEDGER).stat().st_mtime)
        changed = fingerprint.difference(last.facts, facts)
        raise _stale(path, f"those of a search before this has changed: {changed}", name)


def _stale(path: Path, received: str, name: str) -> DataError:
    must = "the trials must be those of the study as it is now."
    return DataError.of(must, received, f"Run: study search {name}", str(path))


def check_conclusion(study: Study, folder: Path, conclusion: Mapping[str, Any]) -> None:
    """Pass over conclusion whose candidates are among those that trials.csv gives now.

    Raises:
        DataError: confirm has chosen among other trials.
    """
    path = folder / "trials.csv"
    known = {(one.arm, one.number, one.search_score) for one in candidates(study, path)}
    for one in conclusion["candidates"]:
        if (one["arm"], one["number"], one["search_score"]) not in known:
            raise DataError.of(
                "confirm must have chosen among the trials that are there now.",
                f"{one['arm']} trial {one['number']}, which is no candidate any more",
                f"Run: study confirm {study.name}",
                str(folder / "winner" / "conclusion.json"),
            )


def check_trials(folder: Path, name: str) -> None:
    """Pass over trials.csv and curves.csv that speak of the same epochs.

    Raises:
        DataError: one of them is cut short, or they are of two searches.
    """
    path = folder / "trials.csv"
    with whole(path, "search", name):
        promised = {(row["arm"], row["number"]): int(row["epochs"]) for row in read_rows(path)}
    with whole(folder / "curves.csv", "search", name):
        found = Counter((row["arm"], row["number"]) for row in read_rows(folder / "curves.csv"))
    for key in sorted({*promised, *found}):
        count = found.get(key, 0)
        if promised.get(key, 0) != count:
            received = f"of trial {' '.join(key)}: {promised.get(key, 'no trial')}, {count} in curves.csv"
            raise DataError.of(
                "trials.csv and curves.csv must have the same epochs.",
                received,
                f"Run: study search {name}",
                str(path),
            )


def check_count(path: Path, num_rows: int, stage: str, name: str) -> None:
    """Pass over a file of so many rows.

    Raises:
        DataError: it is cut short, or has more or fewer.
    """
    with whole(path, stage, name):
        found = len(read_rows(path))
        if found != num_rows:
            raise ValueError(f"{found} rows where {num_rows} belong")


@contextmanager
def whole(path: Path, stage: str, name: str) -> Iterator[None]:
    """Turn what a damaged file of a stage throws at its reader into a DataError."""
    try:
        yield
    except (OSError, EOFError, ValueError, TypeError, KeyError, csv.Error) as error:
        received = str(error) or type(error).__name__
        advice = f"Run: study {stage} {name}"
        raise DataError.of("the file must be as its stage wrote it.", received, advice, str(path)) from error
