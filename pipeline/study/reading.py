"""A study file read, every problem of it found in one go."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.errors import Problem, StudyError, nearest, shortened
from pipeline.space import DEFAULTS, HYPERPARAMETERS, Dimension, Space, dimension
from pipeline.study.checks import cross_checks
from pipeline.study.definition import (
    DATASET_NAMES,
    Baseline,
    Confirm,
    Dataset,
    Objective,
    Search,
    Split,
    Study,
    Table,
)

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
RESERVED = ("raw",)
MAX_BYTES = 1_000_000
TOP_LEVEL: Mapping[str, type] = {
    "question": str,
    "dataset": object,
    "model": str,
    "seed": int,
    "objective": dict,
    "trainer": str,
    "split": dict,
    "baseline": dict,
    "fixed": dict,
    "compare": dict,
    "space": dict,
    "search": dict,
    "confirm": dict,
}
REQUIRED = ("question", "dataset", "seed", "space", "search")
T = TypeVar("T", bound=Table)


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


def load(path: Path) -> Study:
    """Read and check a study file; its folder's name is the study's name.

    Raises:
        StudyError: with every problem that was found.
    """
    name = check_name(path.parent.name)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StudyError.of(
                "a study file must be small.",
                f"{path.stat().st_size} bytes",
                "Is this the right file?",
                str(path),
            )
        text = path.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise StudyError.of(
            "a study file must be UTF-8 text.", error, "Save it as UTF-8.", str(path)
        ) from error
    except OSError as error:
        raise StudyError.of(
            "the study file must be there and readable.",
            error.strerror,
            f"Write it, or run: study new {name}",
            str(path),
        ) from error
    try:
        return parse(text, name)
    except StudyError as error:
        raise error.at(str(path)) from error


def parse(text: str, name: str) -> Study:
    """Check a study file's text.

    Raises:
        StudyError: with every problem that was found, each placed by table and key.
    """
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError.of("the file must be TOML.", error, "Mend the line that it names.") from error
    problems = _top_level(raw)
    tables = {key: raw.get(key, {}) for key, kind in TOP_LEVEL.items() if kind is dict}
    tables = {key: table if isinstance(table, dict) else {} for key, table in tables.items()}
    objective = _table(Objective, tables["objective"] or {"maximize": "val_accuracy"}, "objective", problems)
    split = _table(Split, tables["split"], "[split]", problems)
    search = _table(Search, tables["search"], "[search]", problems) if "search" in raw else None
    confirm = _table(Confirm, tables["confirm"], "[confirm]", problems)
    dataset = _dataset(raw.get("dataset"), problems)
    space = _space(tables["space"], problems)
    model = raw.get("model", "mlp")
    baseline = _values(tables["baseline"], "[baseline]", problems)
    fixed = _values(tables["fixed"], "[fixed]", problems)
    problems += _values_of("model", model, "model")
    problems += cross_checks(raw, tables, space, search, objective)
    if problems or not (objective and split and search and confirm and dataset):
        raise StudyError(*problems)
    start = {**DEFAULTS, "model": model}
    compare = tables["compare"]
    return Study(
        name=name,
        question=raw["question"],
        dataset=dataset,
        split=split,
        model=model,
        seed=raw["seed"],
        objective=objective,
        trainer=raw.get("trainer", "auto"),
        baseline=Baseline({**start, **baseline}),
        fixed={key: value for key, value in {**start, **fixed}.items() if key not in space.names},
        space=space,
        search=search,
        confirm=confirm,
        compared=next(((key, tuple(table["choice"])) for key, table in compare.items()), None),
        text=text,
    )


def _top_level(raw: Mapping[str, Any]) -> list[Problem]:
    problems = [
        Problem("unknown key.", key, nearest(key, TOP_LEVEL), key) for key in raw if key not in TOP_LEVEL
    ]
    problems += [
        Problem("must be given.", "nothing", f"Add {key} to the file.", key)
        for key in REQUIRED
        if key not in raw
    ]
    words = {str: "text in quotes", int: "a whole number", dict: "a table"}
    for key, kind in TOP_LEVEL.items():
        if key in raw and (not isinstance(raw[key], kind) or isinstance(raw[key], bool)):
            problems.append(
                Problem(
                    f"must be {words.get(kind, 'a value')}.", shortened(repr(raw[key])), "Change it.", key
                )
            )
    seed = raw.get("seed", 0)
    if isinstance(seed, int) and not 0 <= seed < 2**63:
        problems.append(Problem("must be in [0, 2**63).", str(seed), "Choose another seed.", "seed"))
    if raw.get("trainer", "auto") not in ("auto", "fit", "compiled"):
        problems.append(
            Problem(
                "unknown trainer.",
                shortened(repr(raw["trainer"])),
                nearest(str(raw["trainer"]), ("auto", "fit", "compiled")),
                "trainer",
            )
        )
    return problems


def _table(kind: type[T], table: Mapping[str, Any], where: str, problems: list[Problem]) -> T | None:
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        for detail in error.errors():
            key = ".".join(str(part) for part in detail["loc"])
            place = f"{where} {key}"
            if detail["type"] == "extra_forbidden":
                problems.append(Problem("unknown key.", key, nearest(key, kind.model_fields), place))
            elif detail["type"] == "missing":
                problems.append(Problem("must be given.", "nothing", f"Add {key} to {where}.", place))
            else:
                rule = detail["msg"].removeprefix("Input ").replace("should be", "must be") + "."
                problems.append(Problem(rule, shortened(repr(detail["input"])), "Change the value.", place))
        return None


def _dataset(value: object, problems: list[Problem]) -> Dataset | None:
    if value is None:
        return None
    table = {"name": value} if isinstance(value, str) else value
    if not isinstance(table, dict):
        _no_dataset(value, problems)
        return None
    dataset = _table(Dataset, table, "dataset", problems)
    if dataset and len(dataset.model_dump(exclude_none=True)) != 1:
        _no_dataset(value, problems)
        return None
    if dataset and dataset.name is not None and dataset.name not in DATASET_NAMES:
        advice = nearest(dataset.name, DATASET_NAMES)
        problems.append(Problem("unknown data set.", shortened(repr(dataset.name)), advice, "dataset"))
    return dataset


def _no_dataset(value: object, problems: list[Problem]) -> None:
    problems.append(
        Problem(
            "must be a known name, or a table with one of npz, folder.",
            shortened(repr(value)),
            'Write dataset = "mnist" or dataset = { npz = "data/raw/mine.npz" }.',
            "dataset",
        )
    )


def _space(table: Mapping[str, Any], problems: list[Problem]) -> Space:
    dimensions = []
    for name, entry in table.items():
        read = dimension(name, entry)
        if isinstance(read, Dimension):
            dimensions.append(read)
        else:
            problems += [problem.at("[space]") for problem in read]
    return Space(tuple(dimensions))


def _values(table: Mapping[str, Any], where: str, problems: list[Problem]) -> dict[str, Any]:
    """The values of [baseline] or [fixed], whole numbers for rates made floats."""
    for name, value in table.items():
        problems += _values_of(name, value, f"{where} {name}")
    return {
        name: float(value) if HYPERPARAMETERS[name].kind is float else value
        for name, value in table.items()
        if name in HYPERPARAMETERS and HYPERPARAMETERS[name].admits(value)
    }


def _values_of(name: str, value: object, where: str) -> list[Problem]:
    known = HYPERPARAMETERS.get(name)
    if known is None:
        return [Problem("unknown hyperparameter.", name, nearest(name, HYPERPARAMETERS), where)]
    if not known.admits(value):
        advice = nearest(str(value), known.words) if known.words else "Change the value."
        return [Problem(f"must be {known.bounds()}.", shortened(repr(value)), advice, where)]
    return []
