"""What MLflow is owed: the records of which it may lack something, delivered when it answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pipeline.ledger import Ledger
from pipeline.stages.history import is_finished
from pipeline.stages.project import Project
from pipeline.stages.running import DELIVERED, TASK, Bench, Task, stage_facts
from pipeline.tracking import Tracker


@dataclass(frozen=True)
class Delivery:
    """What became of a record: how many outcomes it has, and how many runs are still missing."""

    num_outcomes: int
    num_missing: int


def records(project: Project, name: str) -> list[Path]:
    """The folder of every list of trials that the study has run."""
    return [path.parent for path in sorted(project.work(name).glob(f"*/{TASK}"))]


def owed(project: Project, name: str) -> list[Path]:
    """Those of which nobody has seen that MLflow has all."""
    return [folder for folder in records(project, name) if not (folder / DELIVERED).exists()]


def deliver(bench: Bench, folder: Path, patience_seconds: float) -> Delivery:
    """Bring MLflow up to date with one record; what is there is left as it is."""
    facts = json.loads((folder / "facts.json").read_text())
    task = Task(**json.loads((folder / TASK).read_text()), tables=facts["study"])
    outcomes = Ledger(folder / "record.jsonl").outcomes.values()
    key = folder.name.rsplit("-", 1)[1]
    tracker = Tracker(
        bench.project.tracking_uri,
        bench.project.artifacts,
        stage_facts(bench, task.stage, task.arm, key, task.tables),
        metric_prefix=task.prefix,
        # Who asks for the delivery says what became of it.
        say=_silent,
        patience_seconds=patience_seconds,
        status="FINISHED" if is_finished(folder) else "KILLED",
    )
    with tracker:
        for outcome in outcomes:
            tracker.record(outcome, task.name_of(outcome.trial.number))
    if not tracker.undelivered:
        (folder / DELIVERED).touch()
    return Delivery(len(outcomes), tracker.undelivered)


def _silent(text: str) -> None:
    """Nobody is told."""


def deliver_owed(bench: Bench) -> None:
    """Try once to deliver what earlier stages have left; a server that is away costs one question."""
    for folder in owed(bench.project, bench.study.name):
        if deliver(bench, folder, patience_seconds=0.0).num_missing:
            return
