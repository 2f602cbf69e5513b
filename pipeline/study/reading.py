"""A study file read, every problem of it found in one go."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.errors import Problem, StudyError, as_key, nearest, shortened
from pipeline.space import Dimension, Space, defaults
from pipeline.study.checks import COMPARABLE, admitted, problems_between
from pipeline.study.definition import Baseline, Learner, Learners, Study
from pipeline.study.messages import read
from pipeline.study.search_checks import Draft
from pipeline.study.tables import CENTRE, StudyFile

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = ("raw",)
MAX_BYTES = 100_000
MAX_DOTS = 300
INTEGERS = range(-(2**63), 2**63)
TEMPLATE = Path(__file__).parents[1] / "template" / "study.toml"
TWICE = ("Cannot overwrite", "Cannot declare", "Duplicate inline table key", "Cannot mutate")


def check_name(name: str) -> str:
    """`name`, if it may name a study: it becomes a folder and a word in a shell line.

    Raises:
        StudyError: it has other characters, is too long, or is reserved.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        raise StudyError.of(
            "a study's name must match [a-z0-9][a-z0-9_-]{0,63} and not be 'raw'.",
            repr(name[:80]),
            "Choose another name, mnist-mlp for example.",
            "study name",
        )
    return name


def load(path: Path, learners: Learners) -> Study:
    """Read and check a study file; its folder's name is the study's name.

    Raises:
        StudyError: with every problem that was found.
    """
    name = check_name(path.absolute().parent.name)
    try:
        return parse(_text(path, name), name, learners)
    except StudyError as error:
        raise error.at(str(path)) from error


def _text(path: Path, name: str) -> str:
    try:
        # Reading a pipe would wait, and a device may never end.
        if not stat.S_ISREG(path.stat().st_mode):
            received = "a folder" if path.is_dir() else "a pipe or a device"
            raise StudyError.of("the study file must be a file.", received, "Move it out of the way.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            received = f"{path.stat().st_size:,} bytes"
            must = f"a study file must have at most {MAX_BYTES:,} bytes."
            raise StudyError.of(must, received, "Is this the right file?")
        # Some editors put a byte order mark in front, which means nothing in UTF-8.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyError.of("a study file must be UTF-8 text.", error, "Save it as UTF-8.") from error
    except FileNotFoundError as error:
        others = sorted(file.parent.name for file in path.absolute().parent.parent.glob("*/study.toml"))
        advice = f"{nearest(name, others)} " * bool(others) + f"For a new study run: study new {name}"
        raise StudyError.of("the study file must be there.", "no such file", advice) from error
    except OSError as error:
        must, advice = "the study file must be readable.", "Mend its path or its permissions."
        raise StudyError.of(must, error.strerror, advice) from error


def parse(text: str, name: str, learners: Learners) -> Study:
    """Check a study file's text.

    Args:
        learners: find what the file names for its model.

    Raises:
        StudyError: with every problem that was found.
    """
    raw = document(text)
    model, learner, problems = _learner(raw, learners)
    file, wrong = read(raw, learner.hyperparameters)
    study = _study(file, name, model, learner, text)
    tables = {key: raw[key] if isinstance(raw.get(key), dict) else {} for key in StudyFile.model_fields}
    problems += [*wrong, *problems_between(Draft(study, file.compare, tables))]
    if problems:
        raise StudyError(*problems)
    return study


def _study(file: StudyFile, name: str, model: str, learner: Learner, text: str) -> Study:
    """The study of a file, with every default filled in."""
    known, settings = learner.hyperparameters, {**COMPARABLE, **learner.hyperparameters}
    entries = {key: entry for key, entry in file.space.items() if key in known}
    space = Space(
        tuple(Dimension(key, one.values(known[key]), one.parent(known)) for key, one in entries.items())
    )
    plain = {**defaults(known), **({"model": model} if "model" in known else {})}
    compared = {
        key: admitted(settings, key, one.choice) for key, one in file.compare.items() if key in settings
    }
    # A space in which nothing is in order has no centre; that is told of the space. Each arm takes its part.
    of_all = [replace(one, parent=None) if one.parent and one.parent[0] in compared else one for one in space]
    centre = [Space(tuple(of_all)).centre()] if space.names else []
    starts = [row for start in file.search.start_with for row in (centre if start == CENTRE else [start])]
    return Study(
        name=name,
        question=file.question,
        dataset=file.dataset,
        split=file.split,
        model=model,
        learner=learner,
        seed=file.seed,
        objective=file.objective,
        trainer=file.trainer,
        baseline=Baseline(learner.settled({**plain, **file.baseline})),
        fixed={key: value for key, value in {**plain, **file.fixed}.items() if key not in space.names},
        space=space,
        search=file.search.model_copy(update={"start_with": starts}),
        confirm=file.confirm,
        compared=compared,
        text=text,
    )


def _learner(raw: dict[str, Any], learners: Learners) -> tuple[str, Learner, list[Problem]]:
    """The word for the model, its learner, and why it is only a stand-in."""
    word = raw.get("model", learners.words[0])
    try:
        # That it must be text is told with the other keys.
        return word, learners.find(word if isinstance(word, str) else learners.words[0], raw), []
    except StudyError as error:
        return learners.words[0], learners.stand_in(str(word), raw), list(error.problems)


def document(text: str) -> dict[str, Any]:
    """The tables of a study file, unchecked but for the size of their numbers.

    Raises:
        StudyError: the text is not TOML, or holds a number that TOML does not have.
    """
    for number, line in enumerate(text.split("\n"), 1):
        # The parser's time and memory grow with the square of the number of a key's parts.
        if line.count(".") > MAX_DOTS and not line.lstrip().startswith("#"):
            must = f"a line must have at most {MAX_DOTS} dots."
            raise StudyError.of(must, f"line {number}", "Break the line, or shorten its key.")
    try:
        raw = tomllib.loads(text)
        problems = list(_outsized(raw, ()))
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(text, str(error)) from error
    except RecursionError as error:
        raise StudyError.of("values must nest a few deep at most.", "more", "Flatten them.") from error
    except ValueError as error:
        received = "one of thousands of digits"
        raise StudyError.of("a number must fit into 64 bits.", received, "Shorten the number.") from error
    if problems:
        raise StudyError(*problems)
    return raw


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


def _outsized(value: object, path: tuple[str, ...]) -> Iterator[Problem]:
    parts = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ()
    for key, part in parts:
        yield from _outsized(part, (*path, as_key(str(key))))
    if isinstance(value, int) and value not in INTEGERS:
        received = f"a number of {value.bit_length()} bits"
        yield Problem("a number must fit into 64 bits.", received, "Shorten it.", " ".join(path))


def template(name: str, parallel: int = 4) -> str:
    """The text of a complete study file for a new study with so many trials in flight.

    Raises:
        StudyError: no study may have this name.
    """
    return TEMPLATE.read_text().replace("NAME", check_name(name)).replace("PARALLEL", f"{parallel:<8}")
