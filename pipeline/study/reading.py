"""A study file read, every problem of it found in one go."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import Any

from pipeline.errors import Problem, StudyError, nearest
from pipeline.space import Space, Value
from pipeline.study.arms import arm_checks
from pipeline.study.checks import Draft, cross_checks
from pipeline.study.definition import Baseline, Confirm, Objective, Search, Split, Study
from pipeline.study.document import document
from pipeline.study.learner import Learner, Learners
from pipeline.study.middle import MIDDLE, middle
from pipeline.study.tables import STAND_INS, TOP_LEVEL, Tables

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = ("raw",)
MAX_BYTES = 100_000


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
        return content.decode()
    except UnicodeDecodeError as error:
        raise StudyError.of("a study file must be UTF-8 text.", error, "Save it as UTF-8.") from error
    except FileNotFoundError as error:
        others = sorted(file.parent.name for file in path.absolute().parent.parent.glob("*/study.toml"))
        advice = f"{nearest(name, others)} For a new study run: study new {name}"
        raise StudyError.of("the study file must be there.", "no such file", advice) from error
    except OSError as error:
        must, advice = "the study file must be readable.", "Mend its path or its permissions."
        raise StudyError.of(must, error.strerror, advice) from error


def parse(text: str, name: str, learners: Learners) -> Study:
    """Check a study file's text.

    Args:
        learners: find what the file names for its model.

    Raises:
        StudyError: with every problem that was found, each placed by table and key.
    """
    raw = document(text)
    model, learner, problems = _learner(raw, learners)
    tables = Tables(learner.hyperparameters, problems)
    tables.top_level(raw)
    found = {key: _table(raw, key) for key, (kind, _) in TOP_LEVEL.items() if kind is dict}
    draft = _draft(raw, found, model, learner, tables)
    confirm = tables.checked(Confirm, found["confirm"], "[confirm]")
    split = tables.checked(Split, found["split"], "[split]")
    dataset = tables.dataset(raw.get("dataset", "mnist-sample"))
    fixed = tables.values(found["fixed"], "[fixed]")
    problems += [*cross_checks(draft), *arm_checks(draft)]
    if problems:
        raise StudyError(*problems)
    start = draft.start
    settled = {**start, **fixed}
    return Study(
        name=name,
        question=raw["question"],
        dataset=dataset,
        split=split,
        model=model,
        learner=learner,
        seed=raw["seed"],
        objective=draft.objective,
        trainer=raw.get("trainer", "auto"),
        baseline=Baseline({**start, **draft.baseline}),
        fixed={key: value for key, value in settled.items() if key not in draft.space.names},
        space=draft.space,
        search=draft.search.model_copy(update={"start_with": [dict(values) for values in draft.starts]}),
        confirm=confirm,
        compared=_compared(found["compare"], learner),
        text=text,
    )


def _learner(raw: dict[str, Any], learners: Learners) -> tuple[str, Learner, list[Problem]]:
    """The word for the model, its learner, and why it is only a stand-in."""
    word = raw.get("model", learners.words[0])
    try:
        # That it must be text is told with the other keys at the top.
        return word, learners.find(word if isinstance(word, str) else learners.words[0], raw), []
    except StudyError as error:
        return learners.words[0], learners.find(learners.words[0], raw), list(error.problems)


def _table(raw: dict[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    stand_ins = {"search": STAND_INS[Search], "objective": STAND_INS[Objective]}
    return value if isinstance(value, dict) else dict(stand_ins.get(key, {}))


def _draft(
    raw: dict[str, Any], found: dict[str, dict[str, Any]], model: str, learner: Learner, tables: Tables
) -> Draft:
    """Everything that the checks between tables look at; what is wrong by itself is noted and left out."""
    given = {key for key in found if isinstance(raw.get(key), dict)}
    if "space" in given and not found["space"]:
        advice = f"Add {TOP_LEVEL['space'].example.removeprefix('[space] ')}."
        tables.problems.append(Problem("must have at least one entry.", "an empty table", advice, "[space]"))
    if "compare" in given and not found["compare"]:
        advice = "Remove it, or write " + TOP_LEVEL["compare"].example.removeprefix("[compare] ") + "."
        tables.problems.append(Problem("must compare one thing.", "an empty table", advice, "[compare]"))
    space = tables.space(found["space"])
    spending = tables.checked(Search, _with_middle(found["search"], space), "[search]")
    return Draft(
        tables=found,
        model=model,
        learner=learner,
        baseline=tables.values(found["baseline"], "[baseline]"),
        starts=[
            tables.values(start, f"[search] start_with[{index}]")
            for index, start in enumerate(spending.start_with)
        ],
        space=space,
        search=spending,
        objective=tables.checked(Objective, found["objective"], "objective"),
    )


def _with_middle(search: dict[str, Any], space: Space) -> dict[str, Any]:
    """The table with the middle of the space written out where its list of starts has the word for it."""
    starts = search.get("start_with")
    if not isinstance(starts, list):
        return search
    # A space in which nothing is in order has no middle; that is told of the space.
    own = [middle(space)] if space.names else []
    rows = [row for start in starts for row in (own if start == MIDDLE else [start])]
    return {**search, "start_with": rows}


def _compared(compare: dict[str, Any], learner: Learner) -> tuple[str, tuple[Value, ...]] | None:
    """The compared setting, its values as trials are given them."""
    for key, table in compare.items():
        known = learner.hyperparameters.get(key)
        return key, tuple(known.exact(value) if known else value for value in table["choice"])
    return None
