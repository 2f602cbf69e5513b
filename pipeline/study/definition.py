"""What a study is made of: its arms, its baseline, and its plan, which says what each stage depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pipeline.files import digest
from pipeline.space import Configuration, Space, Value, defaults
from pipeline.study.learner import Learner
from pipeline.study.tables import SAMPLERS, Confirm, Dataset, Objective, Search, Split, TrainerName


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
        earlier: by arm, values and score of each trial of `start_from` that lies in the arm's space.
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
    earlier: Mapping[str, Sequence[tuple[Mapping[str, Value], float]]] = field(default_factory=dict)

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
        return tuple(Arm(str(one), self.search.model_copy(update={key: one}), self.fixed) for one in values)

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
                        **({"earlier": digest(self.earlier[arm.name])} if self.earlier else {}),
                    }
                    for arm in self.arms
                ],
            },
            "confirm": {**train, **self.confirm.model_dump(), "baseline": dict(self.baseline.configuration)},
            "report": {"question": self.question},
        }
