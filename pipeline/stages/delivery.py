"""What MLflow is owed: the records of which it may lack something, delivered when it answers."""

from __future__ import annotations

from dataclasses import replace

from pipeline.errors import StoreError
from pipeline.stages import fingerprint
from pipeline.stages.project import Project
from pipeline.stages.recorded import Recorded, readable
from pipeline.stages.running import DELIVERED, Bench, stage_facts
from pipeline.tracking import Tracker

PATIENCE_SECONDS = 20.0
# Of a record that was made on other data, or by other code or packages, MLflow is told of these alone.
KNOWN = ("machine", "packages")


def owed(project: Project, name: str) -> list[Recorded]:
    """The records of which nobody has seen that MLflow has all."""
    return [one for one in readable(project, name) if not (one.folder / DELIVERED).exists()]


def deliver(bench: Bench, one: Recorded) -> None:
    """Bring MLflow up to date on a record; what is there is left as it is.

    Raises:
        StoreError: MLflow does not answer.
    """
    num_missing = _delivered(bench, one, PATIENCE_SECONDS)
    if num_missing:
        raise StoreError.of(
            "MLflow must answer.",
            f"{num_missing} runs could not be delivered",
            "Start the tracking server or mend the store, then run again.",
            one.folder.name,
        )


def deliver_owed(bench: Bench) -> None:
    """Try once to deliver what earlier stages have left; a server that is away costs one question."""
    for one in owed(bench.project, bench.study.name):
        if _delivered(bench, one, patience_seconds=0.0):
            return


def _delivered(bench: Bench, one: Recorded, patience_seconds: float) -> int:
    """How many runs are still missing afterwards."""
    bench = _as_it_was(bench, one)
    tracker = Tracker(
        bench.project.tracking_uri,
        bench.project.artifacts,
        stage_facts(bench, one.task.stage, one.task.arm, one.key, one.task.tables),
        metric_prefix=one.task.prefix,
        # Who asks for the delivery says what became of it.
        say=_silent,
        patience_seconds=patience_seconds,
        status="FINISHED" if one.done else "KILLED",
    )
    with tracker:
        for outcome in one.outcomes.values():
            tracker.record(outcome, one.task.name_of(outcome.trial.number))
    if not tracker.undelivered:
        (one.folder / DELIVERED).touch()
    return tracker.undelivered


def _as_it_was(bench: Bench, one: Recorded) -> Bench:
    """The bench with the record's own study file; today's data and commit only if they are the record's."""
    now = fingerprint.key(fingerprint.facts(one.task.tables, bench.card["sha256"]))
    if (now, bench.study.text) == (one.key, one.study_text):
        return bench
    bench = replace(bench, study=replace(bench.study, text=one.study_text))
    known = {name: value for part in KNOWN for name, value in one.facts[part].items()}
    about = {name: value for name, value in known.items() if name in bench.environment}
    return replace(bench, card={"sha256": one.facts["data"]}, environment=about)


def _silent(text: str) -> None:
    """Nobody is told."""
