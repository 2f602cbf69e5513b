"""What goes wrong, and who mends it.

PipelineError
├── StudyError   a study file says something impossible    -> edit the file
│   └── ModelError   the user's own model raised           -> mend that file
├── DataError    arrays or files are not as promised       -> mend or prepare the data again
├── StoreError   a store, a lock or an output cannot be used -> mend the place, run again
└── TrialError   one configuration cannot be trained       -> its trial is failed; the search goes on
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self
from urllib.parse import unquote

MAX_SHOWN = 50
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
SECRET_NAME = re.compile("pass|pwd|token|secret|key", re.IGNORECASE)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where, what must hold, what was received, what to do."""

    must: str
    received: str
    advice: str
    where: str = ""

    def __str__(self) -> str:
        place = f"{printable(self.where)}: " if self.where else ""
        advice = shortened(self.advice, 500)
        return f"{place}{shortened(self.must, 500)}\nReceived: {shortened(self.received)}. {advice}"

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
        shown = [str(problem) for problem in self.problems[:MAX_SHOWN]]
        left = len(self.problems) - len(shown)
        return "\n\n".join([*shown, f"And {left} more problems."] if left else shown)


class StudyError(PipelineError):
    """A study file says something impossible. Edit the file."""


class ModelError(StudyError):
    """A user's own file raised: its traceback, from the first line of the user's on. Mend that file."""

    def __init__(
        self, quoted: str, what: str = "The model of the study could not be built and trained"
    ) -> None:
        super().__init__(Problem("the model must be built and trained.", quoted, "Mend it.", "model"))
        self._quoted, self._what = quoted, what

    def __str__(self) -> str:
        return f"{self._what}:\n\n{self._quoted}"


class DataError(PipelineError):
    """Arrays or files are not as promised. Mend them, or prepare the data again."""


class StoreError(PipelineError):
    """A store, a lock or an output cannot be used. Mend the place, then run again."""


class TrialError(PipelineError):
    """One configuration cannot be trained. Its trial is failed; the search goes on."""


def printable(text: str) -> str:
    """`text` with everything escaped that would steer a terminal instead of being seen."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode("ascii") for sign in text
    )


def shortened(received: object, limit: int = 200) -> str:
    """`received` in one line of at most `limit` printable characters."""
    try:
        text = str(received)
    except (ValueError, RecursionError):
        text = f"a value too large to print ({type(received).__name__})"
    text = printable(" ".join(text.split()))
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def hidden(address: str) -> str:
    """A store's address without user, password and query."""
    scheme, rest = _halves(address)
    # A password may hold any sign, so everything up to the last @ is taken for it; but the address of a file
    # begins with a slash, and its path may have an @ in it.
    _, at, place = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
    place, question, _ = place.partition("?")
    return f"{scheme}{'***@' if at else ''}{place}{'?***' if question else ''}"


def scrubbed(reason: object, address: str) -> str:
    """`reason` in one line, without what `hidden` hides of `address`, however it is spelt there."""
    text = str(reason).replace(address, hidden(address)) if address else str(reason)
    spellings = {spelling for secret in _secrets(address) for spelling in (secret, unquote(secret))}
    for spelling in sorted(filter(None, spellings), key=len, reverse=True):
        text = text.replace(spelling, "***")
    return shortened(text, 300).rstrip(".")


def _secrets(address: str) -> list[str]:
    """The password of an address, its parts that a parser may have torn apart, and secrets in the query."""
    _, rest = _halves(address)
    user, at, place = ("", "", rest) if rest.startswith("/") else rest.rpartition("@")
    password = (user.partition(":")[2] or user) if at else ""
    secrets = [user, password, *re.split("[@:/?#]", f"{password}@{unquote(password)}")]
    pairs = re.findall(r"[?&;]([^=]+)=([^&;]*)", place)
    return secrets + [value for name, value in pairs if SECRET_NAME.search(name)]


def _halves(address: str) -> tuple[str, str]:
    """The scheme with its slashes, if there is one, and the rest."""
    scheme, mark, rest = address.partition("://")
    return (f"{scheme}{mark}", rest) if mark else ("", address)


def as_key(key: str) -> str:
    """A key as a study file spells it, shortened: bare where TOML allows that, else in quotes."""
    return shortened(key if BARE_KEY.fullmatch(key) else json.dumps(key, ensure_ascii=False), 60)


def as_toml(value: object) -> str:
    """A value as a study file spells it, shortened."""
    try:
        return shortened(_spelled(value))
    except RecursionError:
        return "a value nested too deep to print"


def _spelled(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_spelled(part) for part in value)}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{as_key(str(key))} = {_spelled(part)}" for key, part in value.items())
        return f"{{ {inside} }}" if inside else "an empty table"
    return shortened(value)


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint for a misspelt word: the nearest known one, or the whole list."""
    names = {name.lower(): name for name in sorted(known)}
    if not names:
        return "Remove it."
    close = difflib.get_close_matches(word.lower(), names, n=1)
    return f"Did you mean {names[close[0]]}?" if close else f"Known: {', '.join(names.values())}."
