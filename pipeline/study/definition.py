"""What a study is made of: frozen values, each checked at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from pipeline.space import Configuration, Space, Value, defaults
from pipeline.study.learner import Learner

EngineName = Literal["optuna", "keras_tuner"]
TrainerName = Literal["auto", "fit", "compiled"]
PrunerName = Literal["none", "median", "successive_halving", "hyperband"]
Metric = Literal["val_accuracy", "val_loss", "accuracy", "loss"]

SAMPLERS: Mapping[str, tuple[str, ...]] = {
    "optuna": ("tpe", "random", "grid", "qmc"),
    "keras_tuner": ("bayesian", "random", "hyperband", "grid"),
}
DATASET_NAMES = ("mnist-sample", "mnist", "fashion-mnist", "digits")
PRUNERS: tuple[str, ...] = get_args(PrunerName)
TRAINERS: tuple[str, ...] = get_args(TrainerName)


class Table(BaseModel):
    """A table of the study file: no unknown key, no silent conversion, no change after birth.

    The first example of a field is what a message advises to write.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class Dataset(Table):
    """Where the images come from: a known name, or the user's own file or folder."""

    name: str | None = Field(default=None, examples=["mnist-sample"])
    npz: str | None = Field(default=None, examples=["data/raw/mine.npz"])
    folder: str | None = Field(default=None, examples=["data/raw/mine"])


class Split(Table):
    """The shares held out: test of all images for the last word, then val of the rest for choosing."""

    val: float = Field(default=0.2, gt=0, lt=1, examples=[0.2])
    test: float = Field(default=0.2, gt=0, lt=1, examples=[0.2])


class Objective(Table):
    """The metric that decides, its direction, and the epoch at which it is read: the last or the best."""

    maximize: Metric | None = Field(default=None, examples=["val_accuracy"])
    minimize: Metric | None = Field(default=None, examples=["val_loss"])
    at: Literal["last", "best"] = Field(default="last", examples=["last"])

    @property
    def metric(self) -> Metric:
        """The metric's name in a curve."""
        return self.maximize or self.minimize or "val_accuracy"

    @property
    def is_maximized(self) -> bool:
        """Whether more is better."""
        return self.maximize is not None


class Search(Table):
    """How trials are spent.

    Attributes:
        trials: at most this many, in each arm.
        parallel: trials in flight, on any machine (design: the virtual clock).
        minutes: ask for no more trials after so long, in each arm.
        trial_minutes: fail a trial whose epochs take longer together.
        patience: ask for no more after so many trials without a better score.
        start_with: configurations tried first, "middle" written out (Optuna only).
    """

    engine: EngineName = Field(default="optuna", examples=["optuna"])
    sampler: str | None = Field(default=None, examples=["tpe"])
    pruner: PrunerName = Field(default="none", examples=["median"])
    trials: int = Field(ge=1, le=100_000, examples=[40])
    parallel: int = Field(default=4, ge=1, le=1_024, examples=[4])
    minutes: float | None = Field(default=None, gt=0, examples=[30])
    trial_minutes: float | None = Field(default=None, gt=0, examples=[5])
    patience: int | None = Field(default=None, ge=1, examples=[20])
    start_with: list[dict[str, Any]] = Field(default_factory=list, examples=[[{"learning_rate": 0.001}]])


class Confirm(Table):
    """How the best are retrained: how many distinct configurations, on how many fresh seeds."""

    top: int = Field(default=3, ge=1, le=100, examples=[3])
    repeats: int = Field(default=5, ge=2, le=1_000, examples=[5])


@dataclass(frozen=True)
class Baseline:
    """The plain configuration that everything is compared with."""

    configuration: Mapping[str, Value]


@dataclass(frozen=True)
class Arm:
    """One compared value with a search of its own; a study that compares nothing has one arm."""

    name: str
    search: Search
    fixed: Mapping[str, Value]

    @property
    def sampler(self) -> str:
        """The sampler, or the engine's first where the file names none."""
        return self.search.sampler or SAMPLERS[self.search.engine][0]

    @property
    def pruner(self) -> str:
        """The pruner; Keras Tuner has none (its hyperband sets each trial's epochs instead)."""
        return self.search.pruner if self.search.engine == "optuna" else "none"

    @property
    def epochs(self) -> int:
        """How many epochs a complete trial has."""
        return int(self.fixed["epochs"])


@dataclass(frozen=True)
class Study:
    """One question with its file.

    Attributes:
        fixed: a value for every hyperparameter that is not searched, defaults filled in.
        compared: the compared setting's name and values, or None.
        text: the file as it was read, for the record.
    """

    name: str
    question: str
    dataset: Dataset
    split: Split
    model: str
    learner: Learner
    seed: int
    objective: Objective
    trainer: TrainerName
    baseline: Baseline
    fixed: Mapping[str, Value]
    space: Space
    search: Search
    confirm: Confirm
    compared: tuple[str, tuple[Value, ...]] | None
    text: str

    @property
    def defaults(self) -> Configuration:
        """A value for every hyperparameter of the learner."""
        return defaults(self.learner.hyperparameters)

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The searches that this study makes, one per compared value."""
        if self.compared is None:
            return (Arm("search", self.search, self.fixed),)
        key, values = self.compared
        if key in self.learner.hyperparameters:
            return tuple(Arm(str(value), self.search, {**self.fixed, key: value}) for value in values)
        return tuple(
            Arm(str(value), self.search.model_copy(update={key: value}), self.fixed) for value in values
        )

    def plan(self) -> dict[str, Any]:
        """Every setting with its default written out, one table per stage: what each stage depends on."""
        where = {"dataset": self.dataset.model_dump(exclude_none=True), "seed": self.seed}
        space = [
            {"name": d.name, **vars(d.values), "when": list(d.parent) if d.parent else None}
            for d in self.space
        ]
        train: dict[str, Any] = {
            "seed": self.seed,
            "trainer": self.trainer,
            "objective": self.objective.model_dump(),
        }
        if sources := self.learner.sources():
            train |= {"model": self.model, "sources": dict(sources)}
        return {
            "prepare": {**where, "split": self.split.model_dump()},
            "baseline": {**train, "repeats": self.confirm.repeats, **self.baseline.configuration},
            "search": {
                **train,
                "space": space,
                "arms": [
                    {
                        "name": arm.name,
                        **arm.search.model_dump(),
                        "sampler": arm.sampler,
                        "pruner": arm.pruner,
                        "fixed": dict(arm.fixed),
                    }
                    for arm in self.arms
                ],
            },
            "confirm": {**train, **self.confirm.model_dump(), "baseline": dict(self.baseline.configuration)},
            "report": {"question": self.question},
        }
