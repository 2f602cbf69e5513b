"""The text of a study file read as TOML, and what no table of it may hold."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from typing import Any

from pipeline.errors import Problem, StudyError, as_key, shortened

MAX_DEPTH = 6
MAX_DOTS = 300
INTEGERS = range(-(2**63), 2**63)
TWICE = ("Cannot overwrite", "Cannot declare", "Duplicate inline table key", "Cannot mutate")


def document(text: str) -> dict[str, Any]:
    """The tables of a study file, unchecked but for their size.

    Raises:
        StudyError: the text is not TOML, or holds what no study can mean.
    """
    _refuse_unreadable(text)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(text, str(error)) from error
    except RecursionError as error:
        raise StudyError.of(f"values must nest at most {MAX_DEPTH} deep.", "more", "Flatten them.") from error
    except ValueError as error:
        received = "one of thousands of digits"
        raise StudyError.of("a number must fit into 64 bits.", received, "Shorten the number.") from error
    problems = list(_outsized(raw))
    if problems:
        raise StudyError(*problems)
    return raw


def _refuse_unreadable(text: str) -> None:
    if text.startswith("\ufeff"):
        advice = "Save it as UTF-8 without a byte order mark."
        raise StudyError.of("the file must begin with text.", "a byte order mark", advice)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        received = text[error.start : error.end]
        raise StudyError.of("the file must be UTF-8 text.", received, "Remove that sign.") from error
    for number, line in enumerate(text.split("\n"), 1):
        # The parser's time and memory grow with the square of the number of a key's parts.
        if line.count(".") > MAX_DOTS and not line.lstrip().startswith("#"):
            must = f"a line must have at most {MAX_DOTS} dots."
            raise StudyError.of(must, f"line {number}", "Break the line, or shorten its key.")


def _not_toml(text: str, message: str) -> StudyError:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    # The parser names the place where it gave up, which may be the end of the line before.
    lines = text.split("\n")
    number = min(int(place[1]), len(lines)) if place and place[1] else len(lines)
    rule = message[: place.start()] if place else message
    received = f"line {number}, {shortened(lines[number - 1], 80)} ({rule})"
    if rule.startswith(TWICE):
        return StudyError.of("a key or a table must be given once.", received, "Remove one of the two.")
    return StudyError.of("the file must be TOML.", received, "Mend that line; text stands in quotes.")


def _outsized(raw: dict[str, Any]) -> Iterator[Problem]:
    """What is nested too deep or too large for TOML, without recursion of its own."""
    left: list[tuple[object, tuple[str, ...]]] = [(raw, ())]
    while left:
        value, path = left.pop()
        if isinstance(value, (dict, list)) and len(path) >= MAX_DEPTH:
            must = f"values must nest at most {MAX_DEPTH} deep."
            yield Problem(must, "more", "Flatten them.", _place(path[:3]))
        elif isinstance(value, dict):
            left += [(part, (*path, as_key(key))) for key, part in value.items()]
        elif isinstance(value, list):
            left += [(part, (*path, str(index))) for index, part in enumerate(value)]
        elif isinstance(value, int) and value not in INTEGERS:
            received = f"a number of {value.bit_length()} bits"
            yield Problem("a number must fit into 64 bits.", received, "Shorten it.", _place(path))


def _place(path: tuple[str, ...]) -> str:
    return f"[{path[0]}] {'.'.join(path[1:])}" if path[1:] else path[0]
