"""The tables of a study file, each key with its bounds and an example.

A new key is a field of its table: its messages and its place in the plan and the record's key follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, PlainValidator, ValidationInfo, model_validator

from pipeline.errors import Problem, as_toml, nearest
from pipeline.space import Value
from pipeline.study.entries import Entry, Table, TableError

EngineName = Literal["optuna", "keras_tuner"]
TrainerName = Literal["auto", "fit", "compiled"]
PrunerName = Literal["none", "median", "successive_halving", "hyperband"]

SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "optuna": ("tpe", "random", "grid", "qmc", "one_at_a_time"),
    "keras_tuner": ("bayesian", "random", "hyperband", "grid"),
}
DATASET_NAMES = ("mnist-sample", "mnist", "fashion-mnist", "digits", "cifar10")
# Samplers that try a list of points and are then spent.
LISTING = ("grid", "one_at_a_time")
PRUNERS: tuple[str, ...] = get_args(PrunerName)
CENTRE = "centre"


def _sentence(text: str) -> str:
    plain = " ".join(text.split())
    if plain and plain.isprintable() and len(text) <= 1_000:
        return text
    must = "must be a sentence of at most 1000 characters."
    raise TableError(Problem(must, "", 'Write "Which is better?", for example.'))


def _refuse(told: Iterable[tuple[str, Problem | None]]) -> None:
    if wrong := [replace(problem, where=name) for name, problem in told if problem]:
        raise TableError(*wrong)


def _values(table: dict[str, Any], info: ValidationInfo) -> dict[str, Value]:
    """Values as trials are given them: a rate of 1 is 1.0. Names that nobody knows are told elsewhere."""
    if info.context is None:
        return table
    known = {name: info.context[name] for name in table if name in info.context}
    _refuse((name, one.problem(table[name])) for name, one in known.items())
    return {name: one.exact(table[name]) for name, one in known.items()}


def _misplaced(key: str, given: list[str]) -> Problem | None:
    """What is wrong with a key of [dataset] that belongs to another source than the given one."""
    home = next((one for one, keys in SOURCES.items() if key in keys), key)
    if home in given:
        return None
    return Problem(f"must stand beside {home} alone.", f"{key} beside {', '.join(given)}", f"Remove {key}.")


def _start(value: Any, info: ValidationInfo) -> Any:
    if value == CENTRE:
        return value
    if not isinstance(value, dict) or not value:
        must = f'must be a table of at least one hyperparameter, or the word "{CENTRE}".'
        raise TableError(Problem(must, "", "Write { learning_rate = 0.001 }, for example, or remove it."))
    return _values(value, info)


def _admitted(entries: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
    known = {name: info.context[name] for name in entries if info.context and name in info.context}
    _refuse((name, problem) for name in known for problem in entries[name].problems(known[name]))
    return entries


Side = Annotated[int, Field(ge=1, le=4_096)]
Values = Annotated[dict[str, Any], AfterValidator(_values)]


# Where data come from, and what else may be said of each.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "name": (),
    "npz": (),
    "folder": ("size",),
    "function": (),
    "csv": ("label", "numeric", "categorical", "drop", "split", "missing"),
}


class Dataset(Table):
    """Where the data come from: a known name, or the user's own file or folder.

    Attributes:
        size: height and width that the pictures of a folder are brought to; without it they must be of one.
        function: of a file beside the study's, which returns arrays: "data.py:load".
        label, split: the columns of a CSV file that hold the classes and, where there is one, the split.
        numeric, categorical, drop: columns of numbers, of words, and such as are not learnt from.
        missing: "impute": the median or the most frequent word of train stands for an empty cell.
    """

    name: str | None = Field(default=None, examples=["mnist-sample"])
    npz: str | None = Field(default=None, examples=["data/raw/mine.npz"])
    folder: str | None = Field(default=None, examples=["data/raw/mine"])
    size: list[Side] | None = Field(default=None, min_length=2, max_length=2, examples=[[32, 32]])
    function: str | None = Field(default=None, examples=["data.py:load"])
    csv: str | None = Field(default=None, examples=["data/raw/mine.csv"])
    label: str | None = Field(default=None, examples=["species"])
    numeric: list[str] | None = Field(default=None, examples=[["length"]])
    categorical: list[str] | None = Field(default=None, examples=[["colour"]])
    drop: list[str] | None = Field(default=None, examples=[["id"]])
    split: str | None = Field(default=None, examples=["part"])
    missing: Literal["impute"] | None = Field(default=None, examples=["impute"])

    @model_validator(mode="before")
    @classmethod
    def _one(cls, value: Any) -> Any:
        table = {"function" if ".py" in value else "name": value} if isinstance(value, str) else value
        given = [key for key in SOURCES if key in table] if isinstance(table, dict) else []
        # An unknown key is told as such.
        if len(given) != 1 and not (isinstance(table, dict) and table.keys() - cls.model_fields):
            must = f"must be a known name, or a table with one of {', '.join([*SOURCES][1:])}."
            advice = 'Write dataset = "mnist" or dataset = { npz = "data/raw/mine.npz" }.'
            raise TableError(Problem(must, "", advice))
        _refuse((key, _misplaced(key, given)) for key in table if key in cls.model_fields)
        return table

    @model_validator(mode="after")
    def _findable(self) -> Self:
        key, value = next((key, getattr(self, key)) for key in SOURCES if getattr(self, key) is not None)
        if key != "name" and not (value.strip() and value.isprintable()):
            advice = f'Write {key} = "data/raw/mine", for example.'
            raise TableError(Problem("must be a path.", as_toml(value), advice, key))
        if key == "name" and value not in DATASET_NAMES:
            advice = 'Write { npz = "..." } or { folder = "..." } for images of your own.'
            advice = advice if re.search(r"[/\\.]", value) else nearest(value, DATASET_NAMES)
            raise TableError(Problem("unknown data set.", as_toml(value), advice))
        return self

    @model_validator(mode="after")
    def _columns(self) -> Self:
        if self.csv is None:
            return self
        if self.label is None:
            must, advice = (
                "must be given: the column of the classes.",
                'Write label = "species", for example.',
            )
            raise TableError(Problem(must, "nothing", advice, "label"))
        named = [self.label, self.split, *(self.numeric or ()), *(self.categorical or ()), *(self.drop or ())]
        if twice := [name for name in named if name is not None and named.count(name) > 1]:
            must, advice = "a column must be named once.", "Keep one of its places."
            raise TableError(Problem(must, as_toml(twice[0]), advice))
        return self

    @property
    def source(self) -> str:
        """Its name, or the path of its file or folder."""
        return str(next(value for key in SOURCES if (value := getattr(self, key)) is not None))


class Split(Table):
    """The shares held out: test of all images for the last word, then val of the rest for choosing."""

    val: float = Field(default=0.2, gt=0, lt=1, examples=[0.2])
    test: float = Field(default=0.2, gt=0, lt=1, examples=[0.2])


class Objective(Table):
    """The metric that decides, its direction, and the epoch at which it is read: the last or the best."""

    maximize: str | None = Field(default=None, examples=["val_accuracy"])
    minimize: str | None = Field(default=None, examples=["val_loss"])
    at: Literal["last", "best"] = Field(default="last", examples=["last"])

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.maximize is None) == (self.minimize is None):
            advice = 'Write { maximize = "val_accuracy" } or { minimize = "val_loss" }.'
            raise TableError(Problem("must have one of maximize, minimize.", "", advice))
        return self

    @property
    def metric(self) -> str:
        """The metric's name in a curve."""
        return str(self.minimize if self.maximize is None else self.maximize)

    @property
    def is_maximized(self) -> bool:
        """Whether more is better."""
        return self.maximize is not None


class AtMost(Table):
    """What a configuration must not exceed to be trained: the numbers in its model, trained or not."""

    parameters: int = Field(ge=1, examples=[200_000])


class Search(Table):
    """How trials are spent.

    Attributes:
        trials: at most this many, in each arm.
        searches: how often each arm is searched, with draws of its own: a comparison is over them.
        parallel: trials in flight, on any machine (design: the virtual clock).
        minutes: ask for no more trials after so long, in each arm.
        trial_minutes: fail a trial whose epochs take longer together.
        patience: ask for no more after so many trials without a better score.
        at_most: configurations beyond it are refused before training; they cost no budget.
        start_from: another study, whose trials the sampler is told first (Optuna's tpe only).
        start_with: configurations tried first, "centre" written out in a `Study` (Optuna only).
    """

    engine: EngineName = Field(default="optuna", examples=["optuna"])
    sampler: str | None = Field(default=None, examples=["tpe"])
    pruner: PrunerName = Field(default="none", examples=["median"])
    trials: int = Field(ge=1, le=100_000, examples=[40])
    searches: int = Field(default=1, ge=1, le=100, examples=[5])
    parallel: int = Field(default=4, ge=1, le=1_024, examples=[4])
    minutes: float | None = Field(default=None, gt=0, examples=[30])
    trial_minutes: float | None = Field(default=None, gt=0, examples=[5])
    patience: int | None = Field(default=None, ge=1, examples=[20])
    at_most: AtMost | None = Field(default=None, examples=[{"parameters": 200_000}])
    start_from: str | None = Field(default=None, examples=["mnist-mlp"])
    start_with: list[Annotated[Any, PlainValidator(_start)]] = Field(default=[], examples=[[CENTRE]])


class Confirm(Table):
    """How the best are retrained: how many distinct configurations, on how many fresh seeds."""

    top: int = Field(default=3, ge=1, le=100, examples=[3])
    repeats: int = Field(default=5, ge=3, le=1_000, examples=[5])


class Compared(Table):
    """The values that one setting takes, an arm each."""

    choice: list[Any] = Field(min_length=2, max_length=32, examples=[["first", "second"]])


class StudyFile(Table):
    """A whole study file; a key that has no default must be given."""

    question: Annotated[str, AfterValidator(_sentence)] = Field(examples=["How much does tuning buy?"])
    dataset: Dataset = Field(examples=["mnist-sample"])
    model: str = Field(default="", examples=["mlp"])
    seed: int = Field(ge=0, examples=[20260101])
    objective: Objective = Field(
        default=Objective(maximize="val_accuracy"), examples=[{"maximize": "val_accuracy"}]
    )
    trainer: TrainerName = Field(default="auto", examples=["auto"])
    split: Split = Field(default=Split(), examples=[{"val": 0.2}])
    baseline: Values = Field(default={}, examples=[{"batch_size": 32}])
    fixed: Values = Field(default={}, examples=[{"epochs": 10}])
    compare: dict[str, Compared] = Field(
        default={}, examples=[{"engine": {"choice": ["optuna", "keras_tuner"]}}]
    )
    space: Annotated[dict[str, Entry], AfterValidator(_admitted)] = Field(
        examples=[{"learning_rate": {"float": [1e-4, 1e-2], "log": True}}]
    )
    search: Search = Field(examples=[{"trials": 40}])
    confirm: Confirm = Field(default=Confirm(), examples=[{"top": 3}])
