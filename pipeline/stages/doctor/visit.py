"""The doctor's visit: everything is looked at; what is found is said, and mended where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from pipeline.errors import PipelineError, StoreError, StudyError
from pipeline.files import holder_of
from pipeline.stages.doctor import leavings, ledgers, repository, results, runs, trials
from pipeline.stages.doctor.finding import Finding, Patient, from_error
from pipeline.stages.project import Project
from pipeline.stages.running import held_alone

Look = Callable[[], Iterable[Finding]]


def study_file(patient: Patient) -> Iterator[Finding]:
    """Every problem of the study file."""
    try:
        patient.project.study(patient.name)
    except StudyError as error:
        yield from from_error("study", error)


# Each sees what the ones before it have mended. The first hold also while a living process runs the study.
ALWAYS = (study_file, leavings.of_study, ledgers.damage)
AT_REST = (ledgers.ends, trials.differences, runs.differences, results.differences)


@dataclass
class Tally:
    """What a visit has found: whatever is no longer there in the end is mended."""

    seen: dict[Finding, None] = field(default_factory=dict)
    left: list[Finding] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def look(self, looks: Iterable[Look]) -> None:
        """Look everywhere, without mending."""
        self.left = [finding for look in looks for finding in look()]
        self.seen |= dict.fromkeys(self.left)

    def mend(self, looks: Iterable[Look]) -> None:
        """Mend place by place, then look again."""
        looks = list(looks)
        for look in looks:
            found = list(look())
            self.seen |= dict.fromkeys(found)
            # Several findings may be mended by one and the same act.
            for mend in dict.fromkeys(finding.mend for finding in found if finding.mend):
                self._try(mend)
        self.look(looks)

    def _try(self, mend: Callable[[], None]) -> None:
        try:
            mend()
        except PipelineError as error:
            self.failures.append(str(error))

    @property
    def can_mend(self) -> bool:
        """Whether anything that is left could be mended."""
        return any(finding.mend is not None for finding in self.left)

    def lines(self, name: str) -> Iterator[str]:
        """A line for each finding."""
        for finding in self.seen:
            if finding not in self.left:
                yield f"{name}: {finding} Mended: {finding.cure}."
        for finding in self.left:
            what = finding.cure if finding.mend is None else f"With --fix: {finding.cure}."
            yield f"{name}: {finding} {what}"
        yield from dict.fromkeys(self.failures)
        if not self.seen:
            yield f"{name}: nothing found."


def doctor(project: Project, name: str | None, fix: bool) -> Iterator[str]:
    """Say in a sentence each what is wrong with a study, or with all; mend it, if `fix`.

    Without `fix` nothing is written. A study that a living process runs is never mended.

    Raises:
        StudyError: there is no study of this name.
        StoreError: after all lines, if something is left to be mended.
    """
    if name is not None and not (project.folder(name) / "study.toml").exists():
        project.study(name)
    names = [name] if name else sorted(path.parent.name for path in project.root.glob("studies/*/study.toml"))
    left: list[Finding] = []
    tally = Tally()
    looks = [partial(repository.differences, project), partial(leavings.of_project, project)]
    tally.look(looks)
    if fix and tally.can_mend:
        tally.mend(looks)
    left += tally.left
    yield from tally.lines("project")
    for each in names:
        tally = Tally()
        yield from _visited(tally, Patient(project, each), fix)
        left += tally.left
    if left:
        is_tried = fix or not any(finding.mend for finding in left)
        raise StoreError.of(
            "nothing must be left to be mended.",
            f"{len(left)} findings",
            "Do what the lines above say." if is_tried else "Run again with --fix.",
            "study doctor",
        )


def _visited(tally: Tally, patient: Patient, fix: bool) -> Iterator[str]:
    """One study, its lines."""
    lock = patient.project.lock(patient.name)
    holder = holder_of(lock)
    if not holder:
        tally.look(_looks(patient))
        # What a search that has begun in the meantime writes is not wrong, only not yet everywhere.
        holder = holder_of(lock)
    if holder:
        tally.seen.clear()
        tally.look(_looks(patient, is_held=True))
        yield f"{patient.name}: is held by {holder}, so nothing is mended and its stores are not compared."
    elif fix and tally.can_mend:
        with held_alone(patient.project, patient.name):
            tally.mend(_looks(patient))
    yield from tally.lines(patient.name)


def _looks(patient: Patient, is_held: bool = False) -> list[Look]:
    has_study = patient.study is not None
    places = ALWAYS if is_held or not has_study else (*ALWAYS, *AT_REST)
    return [partial(place, patient) for place in places]
