"""What stages have recorded, read back and checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.files import read_json
from pipeline.ledger import Ledger
from pipeline.stages import fingerprint
from pipeline.stages.history import DONE, is_finished
from pipeline.stages.project import Project
from pipeline.stages.task import Task
from pipeline.trial import Outcome

# A copy of the study file: MLflow, told late, is told what the study was then.
LEDGER, FACTS, TASK, STUDY = "record.jsonl", "facts.json", "task.json", "study.toml"
MEND = "Restore it from a copy, or remove its folder."


@dataclass(frozen=True)
class Recorded:
    """What one stage, or one arm of a search, has recorded.

    Attributes:
        facts: what the outcomes depend on.
        study_text: the study file as it was.
        done: what its last end has noted; empty before the first.
        num_torn_bytes: how long a half line at the end of the ledger is.
    """

    folder: Path
    task: Task
    facts: Mapping[str, Any]
    outcomes: Mapping[int, Outcome]
    study_text: str
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


def readable(project: Project, name: str) -> Iterator[Recorded]:
    """The study's records, but for damaged ones, which `study doctor` names."""
    for folder in folders(project, name):
        try:
            yield read(folder)
        except StoreError:
            continue


def read(folder: Path) -> Recorded:
    """The record that a folder holds.

    Raises:
        StoreError: a file of it is damaged or missing.
    """
    ledger = Ledger(folder / LEDGER)
    facts = read_json(folder / FACTS, MEND)
    if fingerprint.key(facts) != folder.name.rpartition("-")[2]:
        raise _damaged(folder / FACTS, "other facts than its folder is named after")
    task = read_json(folder / TASK, MEND)
    if {*task} != {*Task("", "", {}, 0).as_dict()}:
        raise _damaged(folder / TASK, ", ".join(task) or "nothing")
    done = read_json(folder / DONE, MEND) if is_finished(folder) else {}
    return Recorded(
        folder,
        Task(**task, tables=facts["study"]),
        facts,
        ledger.outcomes,
        (folder / STUDY).read_text() if (folder / STUDY).is_file() else "",
        done,
        ledger.num_torn_bytes,
    )


def _damaged(path: Path, received: object) -> StoreError:
    return StoreError.of("the file must be as it was written.", received, MEND, str(path))
