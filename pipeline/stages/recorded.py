"""What stages have recorded, read back and checked; and delivered to MLflow once more."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StoreError
from pipeline.ledger import Ledger
from pipeline.stages import baseline, confirm, fingerprint, search
from pipeline.stages.history import DONE, is_finished
from pipeline.stages.project import Project
from pipeline.stages.running import TASK, Bench, Task, open_tracker
from pipeline.stages.selection import candidates
from pipeline.study import Study
from pipeline.trial import Outcome

LEDGER, FACTS = "record.jsonl", "facts.json"
# Where the data are no longer those of the record, MLflow is told of these alone.
KNOWN = ("machine", "packages")


@dataclass(frozen=True)
class Recorded:
    """What one stage, or one arm of a search, has recorded.

    Attributes:
        facts: what the outcomes depend on.
        done: what its last end has noted; empty before the first.
        num_torn_bytes: how long a half line at the end of the ledger is.
    """

    folder: Path
    task: Task
    facts: Mapping[str, Any]
    outcomes: Mapping[int, Outcome]
    done: Mapping[str, Any]
    num_torn_bytes: int = 0

    @property
    def key(self) -> str:
        """The key of what the outcomes depend on."""
        return self.folder.name.rpartition("-")[2]

    @property
    def title(self) -> str:
        """Stage and arm, in words."""
        return f"{self.task.stage} {self.task.arm}".strip()

    @property
    def told(self) -> list[Outcome] | None:
        """The outcomes that result files were written from, by number; None where that cannot be told."""
        numbers = [number for number in sorted(self.outcomes) if number < self.done.get("num_trials", 0)]
        is_known = bool(self.done) and len(numbers) == self.done.get("num_outcomes")
        return [self.outcomes[number] for number in numbers] if is_known else None


def folders(project: Project, name: str) -> list[Path]:
    """The folders of the study's records."""
    found = {path.parent for file in (LEDGER, FACTS, TASK) for path in project.work(name).glob(f"*/{file}")}
    return sorted(folder for folder in found if not folder.name.startswith("."))


def read(folder: Path) -> Recorded:
    """The record that a folder holds.

    Raises:
        StoreError: a file of it is damaged or missing.
    """
    ledger = Ledger(folder / LEDGER)
    facts = read_json(folder / FACTS)
    if fingerprint.key(facts) != folder.name.rpartition("-")[2]:
        raise _damaged(folder / FACTS, "other facts than its folder is named after")
    task = read_json(folder / TASK)
    if {*task} != {*Task("", "", {}, 0).as_dict()}:
        raise _damaged(folder / TASK, ", ".join(task) or "nothing")
    done = read_json(folder / DONE) if is_finished(folder) else {}
    return Recorded(
        folder,
        Task(**task, tables=facts["study"]),
        facts,
        ledger.outcomes,
        done,
        ledger.num_torn_bytes,
    )


def read_json(path: Path) -> dict[str, Any]:
    """An object of a record.

    Raises:
        StoreError: the file is missing or holds none.
    """
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(path, error) from error
    if not isinstance(found, dict):
        raise _damaged(path, type(found).__name__)
    return found


def _damaged(path: Path, received: object) -> StoreError:
    must = "must say of the record what was written there."
    return StoreError.of(must, received, "Restore it from a copy, or remove its folder.", str(path))


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


def deliver(bench: Bench, one: Recorded, is_current: bool) -> None:
    """Bring MLflow up to date on a record; what is there is left as it is.

    Args:
        is_current: whether the study, its data and this machine are what the record was made with.

    Raises:
        StoreError: MLflow does not answer.
    """
    if not is_current:
        # An old record keeps its study file, its data and its commit: today's must not be said of it.
        known = {name: value for part in KNOWN for name, value in one.facts[part].items()}
        about = {name: value for name, value in known.items() if name in bench.environment}
        study = replace(bench.study, text="")
        bench = replace(bench, study=study, card={"sha256": one.facts["data"]}, environment=about)
    status = "FINISHED" if one.done else "KILLED"
    with open_tracker(bench, one.task, one.key, status) as tracker:
        for outcome in one.outcomes.values():
            tracker.record(outcome, one.task.name_of(outcome.trial.number))
    if tracker.undelivered:
        raise StoreError.of(
            "MLflow must answer.",
            f"{tracker.undelivered} runs could not be delivered",
            "Start the tracking server or mend the store, then run again.",
            one.folder.name,
        )
