"""MLflow's copies: runs left open, doubled, missing, orphaned, or not what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pipeline import tracking
from pipeline.errors import StoreError
from pipeline.stages.delivery import deliver
from pipeline.stages.doctor.finding import Finding, Patient, counted, from_error, listed
from pipeline.stages.recorded import Recorded
from pipeline.stages.running import bench_of
from pipeline.tracking import SeenRun, StageFacts
from pipeline.tracking.entry import Entry, entry_of

PLACE = "MLflow"
DELIVERED = "delivered from the record; what is wrong there goes to MLflow's trash"


@dataclass(frozen=True)
class Ward:
    """The runs of one record, beside what they should say.

    Attributes:
        parents: its parent runs; of several the first counts.
        children: the runs below the first.
        entries: what there should be, by name.
    """

    one: Recorded
    parents: Sequence[SeenRun]
    children: Sequence[SeenRun]
    entries: dict[str, Entry]

    @property
    def kept(self) -> dict[str, SeenRun]:
        """The run that counts for each name: of several the first that is right, else the first."""
        kept: dict[str, SeenRun] = {}
        for run in self.children:
            entry = self.entries.get(run.name)
            if run.name not in kept or (entry and run.says(entry) and not kept[run.name].says(entry)):
                kept[run.name] = run
        return kept

    @property
    def wrong(self) -> list[SeenRun]:
        """Of the runs that count and have ended, those that do not say what was recorded."""
        ended = (run for run in self.kept.values() if run.is_final and run.name in self.entries)
        return [run for run in ended if not run.says(self.entries[run.name])]


def differences(patient: Patient) -> Iterator[Finding]:
    """Everything in which MLflow is not what was recorded, or its champion not what was registered."""
    uri = patient.project.tracking_uri
    records = patient.records()
    try:
        runs = tracking.see_runs(uri, patient.name)
    except StoreError as error:
        yield from from_error(PLACE, error)
        return
    for one in records:
        ward = ward_of(one, runs)
        mend = partial(_mend, patient, one.folder.name)
        for sentence in _sentences(ward):
            yield Finding(PLACE, f"{one.title}: {sentence}", DELIVERED, mend)
    yield from _strangers(uri, runs, records)
    yield from _champion(patient)


def ward_of(one: Recorded, runs: Sequence[SeenRun]) -> Ward:
    """The runs of one record."""
    place = (one.task.stage, one.key, one.task.arm)
    parents = [run for run in runs if not run.parent_id and run.place == place]
    children = [run for run in runs if parents and run.parent_id == parents[0].run_id]
    facts = StageFacts(study="", stage=one.task.stage, key=one.key, arm=one.task.arm)
    entries = [
        entry_of(outcome, facts, one.task.name_of(number), {}, one.task.prefix, 0.0)
        for number, outcome in one.outcomes.items()
    ]
    return Ward(one, parents, children, {entry.name: entry for entry in entries})


def _sentences(ward: Ward) -> Iterator[str]:
    kept = ward.kept
    if not ward.parents:
        if ward.entries:
            yield "the parent run is missing there."
        return
    if len(ward.parents) > 1:
        yield f"the parent run is there {len(ward.parents)} times."
    if not ward.parents[0].is_final:
        yield f"the parent run is {ward.parents[0].status}, and the process that made it is dead."
    open_runs = [name for name, run in kept.items() if not run.is_final]
    if open_runs:
        yield f"{counted(len(open_runs), 'run')} of a dead process left open: {listed(open_runs)}."
    if len(ward.children) > len(kept):
        names = [run.name for run in ward.children]
        yield f"doubled runs: {listed(name for name in kept if names.count(name) > 1)}."
    if missing := [name for name in ward.entries if name not in kept]:
        yield f"{counted(len(missing), 'recorded trial')} without a run: {listed(missing)}."
    if surplus := [name for name in kept if name not in ward.entries]:
        yield f"{counted(len(surplus), 'run')} without a recorded trial: {listed(surplus)}."
    if wrong := [run.name for run in ward.wrong]:
        yield f"{counted(len(wrong), 'run')} not what was recorded: {listed(wrong)}."


def _mend(patient: Patient, folder: str) -> None:
    """Throw away what is wrong, then deliver; all from a fresh look, so that it may be repeated."""
    project, study = patient.project, patient.study
    one = next((one for one in patient.records() if one.folder.name == folder), None)
    if one is None or study is None:
        return
    runs = tracking.see_runs(project.tracking_uri, patient.name)
    ward = ward_of(one, runs)
    kept = {run.run_id for name, run in ward.kept.items() if name in ward.entries}
    kept -= {run.run_id for run in ward.wrong}
    # The children of a doubled parent first: a parent that is gone would leave orphans.
    doubled = {run.run_id for run in ward.parents[1:]}
    bad = [run.run_id for run in runs if run.parent_id in doubled]
    bad += [run.run_id for run in ward.children if run.run_id not in kept]
    tracking.trash(project.tracking_uri, [*bad, *doubled])
    with bench_of(project, study, patient.card or {"sha256": one.facts["data"]}) as bench:
        deliver(bench, one)


def _strangers(uri: str, runs: Sequence[SeenRun], records: Sequence[Recorded]) -> Iterator[Finding]:
    """Runs without a parent, and runs of removed records that were never closed."""
    there = {run.run_id for run in runs}
    orphans = [run for run in runs if run.parent_id and run.parent_id not in there]
    if orphans:
        sentence = (
            f"{counted(len(orphans), 'run')} without their parent run: {listed(r.name for r in orphans)}."
        )
        cure = "they go to MLflow's trash; what is recorded is delivered anew"
        yield Finding(PLACE, sentence, cure, partial(tracking.trash, uri, [run.run_id for run in orphans]))
    places = {(one.task.stage, one.key, one.task.arm) for one in records}
    parents = {run.run_id: run for run in runs if not run.parent_id and run.place not in places}
    left = [run for run in runs if not run.is_final and parents.keys() & {run.run_id, run.parent_id}]
    if left:
        sentence = f"{counted(len(left), 'run')} of a dead process left open, whose record is gone."
        yield Finding(
            PLACE, sentence, "closed as KILLED", partial(tracking.close, uri, [r.run_id for r in left])
        )


def _champion(patient: Patient) -> Iterator[Finding]:
    """A model in force whose file is not the one that was registered."""
    try:
        model = tracking.see_champion(patient.project.tracking_uri, patient.name)
    except StoreError as error:
        for finding in from_error(PLACE, error):
            yield replace(finding, sentence=f"the champion's file cannot be read. {finding.sentence}")
        return
    if model is not None and model.model_sha256 != model.registered_sha256:
        yield Finding(
            PLACE,
            f"the file of the champion, version {model.version}, is not the one that was registered: "
            f"its SHA-256 is {model.model_sha256}, not {model.registered_sha256}.",
            "Do not use it. Restore the file from a copy; or delete that version in the registry, then run: "
            f"dvc repro --force confirm@{patient.name}",
        )
