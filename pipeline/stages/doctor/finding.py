"""One thing that is wrong, and whom it is looked for in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.data import load_card
from pipeline.errors import DataError, PipelineError, StudyError, printable
from pipeline.stages.current import in_use
from pipeline.stages.project import Project
from pipeline.stages.recorded import Recorded, readable
from pipeline.stages.task import Task
from pipeline.study import Study

MAX_NAMED = 8


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        place: where: the record, Optuna, MLflow, results, files, or DVC.
        sentence: what.
        cure: what mending does; without a `mend`, what a person has to do.
        mend: mends it, may be repeated, and may be killed at any time; None: a person has to.
    """

    place: str
    sentence: str
    cure: str
    mend: Callable[[], None] | None = field(default=None, compare=False)

    def __str__(self) -> str:
        return printable(f"{self.place}: {self.sentence}")


@dataclass(frozen=True)
class Patient:
    """A study that is looked at."""

    project: Project
    name: str

    @property
    def study(self) -> Study | None:
        """The study as its file says now; None where the file has problems."""
        try:
            return self.project.study(self.name)
        except StudyError:
            return None

    @property
    def card(self) -> Mapping[str, Any] | None:
        """The data card; None where no data are prepared."""
        try:
            return load_card(self.project.data(self.name))
        except DataError:
            return None

    def records(self) -> list[Recorded]:
        """Every record that can be read; the others are another module's to find."""
        return list(readable(self.project, self.name))

    def in_use(self) -> dict[str, Task]:
        """What the study would run now, by the folder of its record; empty where that cannot be known."""
        study, card = self.study, self.card
        return in_use(self.project, study, card) if study and card else {}


def from_error(place: str, error: PipelineError) -> Iterator[Finding]:
    """What an error says, as findings that a person has to mend."""
    for problem in error.problems:
        where = f"{problem.where}: " if problem.where else ""
        yield Finding(place, f"{where}{problem.must} Received: {problem.received}.", problem.advice)


def listed(names: Iterable[object]) -> str:
    """A few names in words: 3, 4, 5 and 2 more."""
    known = [str(name) for name in names]
    more = f" and {len(known) - MAX_NAMED} more" if len(known) > MAX_NAMED else ""
    return ", ".join(known[:MAX_NAMED]) + more


def counted(number: int, noun: str) -> str:
    """A number of things in words: 1 trial, 2 trials."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
