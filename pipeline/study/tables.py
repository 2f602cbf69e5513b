"""Each table of a study file by itself: its keys, and the value of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar, get_args

from pydantic import ValidationError

from pipeline.errors import Problem, as_key, as_toml, nearest
from pipeline.space import Dimension, Hyperparameter, Space, Value, dimension
from pipeline.study.definition import (
    DATASET_NAMES,
    TRAINERS,
    Confirm,
    Dataset,
    Objective,
    Search,
    Split,
    Table,
)
from pipeline.study.middle import MIDDLE

MAX_QUESTION = 1_000
TABLES = f'must be a list of tables, or of the word "{MIDDLE}".'
T = TypeVar("T", bound=Table)


class Key(NamedTuple):
    """A key at the top of the file: the kind of its value, and how it is written."""

    kind: type
    example: str


TOP_LEVEL: Mapping[str, Key] = {
    "question": Key(str, 'question = "How much does tuning buy the plain MLP?"'),
    "dataset": Key(object, 'dataset = "mnist-sample"'),
    "model": Key(str, 'model = "mlp"'),
    "seed": Key(int, "seed = 20260101"),
    "objective": Key(dict, 'objective = { maximize = "val_accuracy" }'),
    "trainer": Key(str, 'trainer = "auto"'),
    "split": Key(dict, "[split] val = 0.2"),
    "baseline": Key(dict, "[baseline] batch_size = 32"),
    "fixed": Key(dict, "[fixed] epochs = 10"),
    "compare": Key(dict, '[compare] engine = { choice = ["optuna", "keras_tuner"] }'),
    "space": Key(dict, "[space] learning_rate = { float = [1e-4, 1e-2], log = true }"),
    "search": Key(dict, "[search] trials = 40"),
    "confirm": Key(dict, "[confirm] top = 3"),
}
REQUIRED = ("question", "dataset", "seed", "space", "search")
KINDS: Mapping[type, str] = {str: "text in quotes", int: "a whole number", dict: "a table"}
HYPERPARAMETERS_HOME = "in [baseline], [fixed] or [space]"
HOMES: Mapping[str, str] = {
    **{
        name: f"in [{table.__name__.lower()}]"
        for table in (Split, Search, Confirm)
        for name in table.model_fields
    },
    **dict.fromkeys(TOP_LEVEL, "at the top of the file, above the first [table]"),
}
# What is missing or wrong is read on with these, so that every other problem is found too and none is made.
STAND_INS: Mapping[type[Table], Mapping[str, Any]] = {
    Search: {"trials": 100_000},
    Objective: {"maximize": "val_accuracy"},
}


def unknown(key: str, known: Iterable[str], where: str, home: str = "") -> Problem:
    """A key that its table does not have: it belongs elsewhere, in its `home`, or it is misspelt."""
    home = HOMES.get(key) or home
    return Problem("unknown key.", as_key(key), f"It belongs {home}." if home else nearest(key, known), where)


class Tables:
    """Reads the tables of one study file, each by itself.

    Attributes:
        problems: what was found to be wrong so far.
    """

    def __init__(self, hyperparameters: Mapping[str, Hyperparameter], problems: list[Problem]) -> None:
        self._known = hyperparameters
        self.problems = problems

    def _unknown(self, key: str, known: Iterable[str], where: str) -> Problem:
        return unknown(key, known, where, HYPERPARAMETERS_HOME if key in self._known else "")

    def top_level(self, raw: Mapping[str, Any]) -> None:
        """The keys at the top of the file, and the values that are no tables."""
        self.problems += [self._unknown(key, TOP_LEVEL, as_key(key)) for key in raw if key not in TOP_LEVEL]
        for key, (kind, example) in TOP_LEVEL.items():
            if key in raw:
                # TOML has true for a truth, Python takes it for a number.
                is_kind = isinstance(raw[key], kind) and not (isinstance(raw[key], bool) and kind is int)
                must = self._top_value(key, raw[key]) if is_kind else f"must be {KINDS.get(kind)}."
                if must:
                    advice = self._top_advice(key, raw[key], example)
                    self.problems.append(Problem(must, as_toml(raw[key]), advice, key))
            elif key in REQUIRED:
                self.problems.append(Problem("must be given.", "nothing", f"Add {example}.", key))

    def _top_value(self, key: str, value: Any) -> str:
        """What must hold of a value of the right kind and does not; empty where it does."""
        if key == "question":
            plain = " ".join(value.split())
            is_sentence = plain and plain.isprintable() and len(value) <= MAX_QUESTION
            return "" if is_sentence else f"must be a sentence of at most {MAX_QUESTION} characters."
        if key == "seed" and value < 0:
            return "must be at least 0."
        if key == "trainer" and value not in TRAINERS:
            return "unknown trainer."
        return ""

    def _top_advice(self, key: str, value: object, example: str) -> str:
        words = {"trainer": TRAINERS}.get(key)
        return nearest(value, words) if words and isinstance(value, str) else f"Write {example}, for example."

    def checked(self, kind: type[T], table: Mapping[str, Any], where: str) -> T:
        """A table of the file; in one with problems, stand-ins replace the values that are wrong."""
        try:
            return kind.model_validate(table)
        except ValidationError as error:
            details = error.errors()
            self.problems += [self._problem(kind, detail, where) for detail in details]
            wrong = {detail["loc"][0] for detail in details}
            kept = {key: value for key, value in table.items() if key not in wrong}
            return kind.model_validate({**STAND_INS.get(kind, {}), **kept})

    def _problem(self, kind: type[Table], detail: Any, where: str) -> Problem:
        key = str(detail["loc"][0])
        place = f"{where} {as_key(key)}"
        if detail["type"] == "extra_forbidden":
            return self._unknown(key, kind.model_fields, place)
        field = kind.model_fields[key]
        example = f"{key} = {as_toml((field.examples or [field.default])[0])}"
        if detail["type"] == "missing":
            return Problem("must be given.", "nothing", f"Add {example} to {where}.", place)
        advice = f"Write {example}, for example."
        words = _words(field.annotation)
        if words and isinstance(detail["input"], str):
            advice = nearest(detail["input"], words)
        return Problem(_rule(detail, words), as_toml(detail["input"]), advice, place)

    def dataset(self, value: object) -> Dataset:
        """Where the images come from, by name or by table."""
        table = {"name": value} if isinstance(value, str) else value
        if not isinstance(table, dict) or len(table) != 1:
            must = "must be a known name, or a table with one of npz, folder."
            advice = 'Write dataset = "mnist" or dataset = { npz = "data/raw/mine.npz" }.'
            self.problems.append(Problem(must, as_toml(value), advice, "dataset"))
            return Dataset()
        found = self.checked(Dataset, table, "dataset")
        if found.name is not None and found.name not in DATASET_NAMES:
            own = re.search(r"[/\\.]", found.name)
            advice = 'Write { npz = "..." } or { folder = "..." } for images of your own.' if own else ""
            advice = advice or nearest(found.name, DATASET_NAMES)
            self.problems.append(Problem("unknown data set.", as_toml(found.name), advice, "dataset"))
        for key, path in {"npz": found.npz, "folder": found.folder}.items():
            if path is not None and not (path.strip() and path.isprintable()):
                advice = f'Write {key} = "data/raw/mine", for example.'
                self.problems.append(Problem("must be a path.", as_toml(path), advice, f"dataset {key}"))
        return found

    def space(self, table: Mapping[str, Any]) -> Space:
        """The entries of [space] that are in order by themselves."""
        dimensions = []
        for name, entry in table.items():
            where = f"[space] {as_key(name)}"
            read = dimension(name, entry, self._known)
            if name not in self._known:
                self.problems.append(self._unknown_hyperparameter(name, where))
            elif isinstance(read, Dimension):
                dimensions.append(read)
            if isinstance(read, list):
                self.problems += [problem.at(where) for problem in read]
        return Space(tuple(dimensions))

    def values(self, table: Mapping[str, Any], where: str) -> dict[str, Value]:
        """Those values of [baseline], [fixed] or a start that are in order; a rate of 1 is 1.0."""
        kept = {}
        for name, value in table.items():
            place, known = f"{where} {as_key(name)}", self._known.get(name)
            if known is None:
                self.problems.append(self._unknown_hyperparameter(name, place))
            elif problem := known.problem(value):
                self.problems.append(problem.at(place))
            else:
                kept[name] = known.exact(value)
        return kept

    def _unknown_hyperparameter(self, name: str, where: str) -> Problem:
        return replace(self._unknown(name, self._known, where), must="unknown hyperparameter.")


def _words(annotation: object) -> list[str]:
    """The words that an annotation with a Literal in it permits."""
    parts = [part for part in get_args(annotation) if not isinstance(part, type(None))]
    return [word for part in parts for word in ([part] if isinstance(part, str) else _words(part))]


def _rule(detail: Any, words: list[str]) -> str:
    """A rule of pydantic in the words of this project."""
    limit = next(iter(detail.get("ctx", {}).values()), "")
    rules = {
        "greater_than_equal": f"must be at least {limit}.",
        "less_than_equal": f"must be at most {limit}.",
        "greater_than": f"must be above {limit:g}." if isinstance(limit, float) else "",
        "less_than": f"must be below {limit:g}." if isinstance(limit, float) else "",
        "finite_number": "must be a finite number.",
        "int_type": "must be a whole number.",
        "float_type": "must be a number.",
        "string_type": "must be text in quotes.",
        "literal_error": f"must be one of {', '.join(words)}.",
        "list_type": TABLES,
        "dict_type": TABLES,
    }
    return rules[detail["type"]]
