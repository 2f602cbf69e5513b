"""One list of trials to be run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StoreError
from pipeline.files import digest, read_json, write_json
from pipeline.records import fingerprint
from pipeline.records.fingerprint import difference
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.trial import Outcome

# What may stand in the name of a record's folder.
PLAIN, UNFIT = re.compile(r"\w[\w.+-]{0,63}", re.ASCII), re.compile(r"[^\w.+-]", re.ASCII)


@dataclass(frozen=True)
class Task:
    """One list of trials to be run: an arm of the search, the baseline, or confirm.

    Attributes:
        stage: baseline, search or confirm.
        arm: the arm's name, or empty.
        tables: the study's settings that the outcomes depend on.
        num_trials: how many trials there will be at most.
        repeats: how often each configuration is trained in a row; 0 for a search, whose trials all differ.
        prefix: what the names of its MLflow metrics begin with.
        minutes: cut the search after so long.
        keeps_weights: whether the last weights of every trial are kept.
    """

    stage: str
    arm: str
    tables: Mapping[str, Any]
    num_trials: int
    repeats: int = 0
    prefix: str = ""
    minutes: float | None = None
    keeps_weights: bool = False

    def folder_name(self, key: str) -> str:
        """What the folder of its record is called."""
        arm = self.arm
        if arm and not PLAIN.fullmatch(arm):
            # Each value of a choice may name an arm; not each may name a folder.
            arm = f"{UNFIT.sub('_', arm)[:40]}.{digest(arm)[:8]}"
        return "-".join(filter(None, (self.stage, arm, key)))

    def as_dict(self) -> dict[str, Any]:
        """What its record keeps of it; the tables are among the facts."""
        return {name: value for name, value in vars(self).items() if name != "tables"}

    def name_of(self, number: int) -> str:
        """The name of a trial's MLflow run."""
        if not self.repeats:
            return f"trial-{number:03d}"
        index, repeat = divmod(number, self.repeats)
        if self.stage == "baseline":
            return f"baseline-repeat-{repeat}"
        # What confirm trains beyond what it had named is the winner; a second one stands in for a failed one.
        roles = self.tables.get("roles", ())
        again = index - len(roles)
        role = roles[index] if again < 0 else f"winner-{again + 1}" if again else "winner"
        return f"{role}-repeat-{repeat}"


DONE = "done.json"
RESTORE = "Restore it from a copy, or remove it: the record beside it stays."


def finish(folder: Path, num_trials: int, numbers: Sequence[int], elapsed_seconds: float) -> None:
    """Note that a run of this stage, of `num_trials` at most, has come to its end with these trials."""
    done = {"num_trials": num_trials, "numbers": sorted(numbers), "elapsed_seconds": elapsed_seconds}
    write_json(folder / DONE, {**done, "num_outcomes": len(numbers)})


def is_finished(folder: Path) -> bool:
    """Whether a run of this stage has come to its end."""
    return (folder / DONE).is_file()


def elapsed_seconds(folder: Path) -> float:
    """What the last finished run had taken: a budget of minutes that is spent stays spent."""
    return float(_done(folder).get("elapsed_seconds", 0.0))


def sentence(
    stage: str, arm: str, folder: Path, facts: Mapping[str, Any], num_recorded: int, num_trials: int
) -> str:
    """What this run does with what is recorded, and why."""
    name = f"{stage} {arm}".strip()
    if num_recorded:
        return f"{name}: {_continued(_done(folder), num_recorded, num_trials)}"
    known = [path for path in folder.parent.glob("*/facts.json") if _is_earlier(path.parent, folder)]
    if not known:
        return f"{name}: starts; {num_trials} trials."
    last = max(known, key=lambda path: path.stat().st_mtime)
    changed = difference(read_json(last, RESTORE), facts)
    return f"{name}: starts anew, because this has changed since the last time: {changed}."


def _is_earlier(other: Path, folder: Path) -> bool:
    """Whether another folder is of the same stage and arm; the name of an arm may hold dashes, a key none."""
    return other.name != folder.name and other.name.rpartition("-")[0] == folder.name.rpartition("-")[0]


def _continued(done: Mapping[str, Any], num_recorded: int, num_trials: int) -> str:
    if not done:
        return f"goes on where it was stopped; {num_recorded} of {num_trials} trials are recorded."
    if num_trials > done["num_trials"]:
        return f"extends the finished search of {done['num_outcomes']} trials to {num_trials}."
    if done["num_outcomes"] < num_trials:
        return (
            f"ended with {done['num_outcomes']} of {num_trials} trials; "
            "goes on if the study now has more time, patience or values."
        )
    return f"all {num_trials} trials are recorded; nothing is trained again."


def _done(folder: Path) -> dict[str, Any]:
    path = folder / DONE
    return read_json(path, RESTORE) if path.is_file() else {}


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
        below = [number for number in sorted(self.outcomes) if number < self.done.get("num_trials", 0)]
        # Fewer than are recorded where the study has less patience now; earlier versions note a count alone.
        numbers = self.done.get("numbers", below)
        is_known = bool(self.done) and len(numbers) == self.done.get("num_outcomes")
        is_there = is_known and all(number in self.outcomes for number in numbers)
        return [self.outcomes[number] for number in numbers] if is_there else None


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
