"""One thing that is not as it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from pipeline.errors import PipelineError

MAX_NAMED = 8


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        what: where, and what it is.
        cure: what mending does; without a `mend`, what a person has to do.
        mend: mends it, may be repeated, and may be killed at any time; None: a person has to.
    """

    what: str
    cure: str
    mend: Callable[[], object] | None = None


def from_error(error: PipelineError) -> Iterator[Finding]:
    """What an error says, as findings that a person has to mend."""
    for problem in error.problems:
        where = f"{problem.where}: " if problem.where else ""
        yield Finding(f"{where}{problem.must} Received: {problem.received}.", problem.advice)


def listed(names: Iterable[object]) -> str:
    """A few names in words: 3, 4, 5 and 2 more."""
    known = [str(name) for name in names]
    more = f" and {len(known) - MAX_NAMED} more" if len(known) > MAX_NAMED else ""
    return ", ".join(known[:MAX_NAMED]) + more
