"""What goes wrong, and who mends it.

PipelineError
├── StudyError   a study file says something impossible    -> edit the file
├── DataError    arrays or files are not as promised       -> mend or prepare the data again
├── StoreError   a store, a lock or an output cannot be used -> mend the place, run again
└── TrialError   one configuration cannot be trained       -> its trial is failed; the search goes on
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what must hold, what was received, what to do."""

    must: str
    received: str
    advice: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        return f"{place}{self.must}\nReceived: {self.received}. {self.advice}"

    def at(self, where: str) -> Problem:
        """The same problem with a place in front of the place it already has."""
        joined = f"{where}: {self.where}" if self.where else where
        return replace(self, where=joined)


class PipelineError(Exception):
    """Something that a person can mend. Carries one problem or several, found in one go."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(*problems)
        self.problems = problems

    @classmethod
    def of(cls, must: str, received: object, advice: str, where: str = "") -> Self:
        """One problem from its parts; `received` is shortened, so that no message floods a screen."""
        return cls(Problem(must, shortened(received), advice, where))

    def at(self, where: str) -> Self:
        """The same error, its problems placed by the floor that knows the place."""
        return type(self)(*(problem.at(where) for problem in self.problems))

    def __str__(self) -> str:
        return "\n\n".join(str(problem) for problem in self.problems)


class StudyError(PipelineError):
    """A study file says something impossible. Edit the file."""


class DataError(PipelineError):
    """Arrays or files are not as promised. Mend them, or prepare the data again."""


class StoreError(PipelineError):
    """A store, a lock or an output cannot be used. Mend the place, then run again."""


class TrialError(PipelineError):
    """One configuration cannot be trained. Its trial is failed; the search goes on."""


def shortened(received: object, limit: int = 200) -> str:
    """`received` in one line of at most `limit` characters."""
    text = " ".join(str(received).split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, or the whole list."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {close[0]}?" if close else f"Known: {', '.join(names)}."
