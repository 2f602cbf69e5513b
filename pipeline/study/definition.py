"""What a study is made of: its arms, its baseline, and its plan, which says what each stage depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self

from pipeline.files import digest
from pipeline.space import Configuration, Dimension, Hyperparameter, Space, Value, defaults
from pipeline.study.tables import SAMPLERS, Confirm, Dataset, Objective, Search, Split, TrainerName

if TYPE_CHECKING:
    from pipeline.training.program import Model, Program


@dataclass(frozen=True)
class Baseline:
    """The plain configuration that everything is compared with."""

    configuration: Mapping[str, Value]


@dataclass(frozen=True)
class Arm:
    """What is compared at one value each, with a search of its own; without a comparison there is one arm.

    Attributes:
        compared: the compared settings at this arm's values.
        group: what all searches of these values are called; the name tells them apart.
        seed_path: put before the names under which this search draws: of several of one arm, which it is.
    """

    name: str
    search: Search
    fixed: Mapping[str, Value]
    compared: Mapping[str, Value] = field(default_factory=dict)
    group: str = ""
    seed_path: tuple[int | str, ...] = ()

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
        compared: the values of each compared setting, at most two of them; empty where none is.
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
    compared: Mapping[str, tuple[Value, ...]]
    text: str
    earlier: Mapping[str, Sequence[tuple[Mapping[str, Value], float]]] = field(default_factory=dict)

    @property
    def defaults(self) -> Configuration:
        """A value for every hyperparameter of the learner."""
        return defaults(self.learner.hyperparameters)

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The searches that this study makes: of each compared value, or of each pair of two settings'."""
        # Of nothing there is one pair, the empty one.
        pairs = product(*self.compared.values())
        arms = [self._arm(dict(zip(self.compared, pair, strict=True))) for pair in pairs]
        return tuple(one for arm in arms for one in self._searches(arm))

    def _searches(self, arm: Arm) -> Iterator[Arm]:
        """The searches of an arm; the first draws as the only one of an arm would, so that it is kept."""
        yield arm
        for index in range(1, self.search.searches):
            yield replace(arm, name=f"{arm.name} #{index + 1}", seed_path=("searches", index))

    def _arm(self, values: Mapping[str, Value]) -> Arm:
        """The arm of those compared values; what it starts with is of its own space."""
        own = {key: value for key, value in values.items() if key in self.learner.hyperparameters}
        others = {key: value for key, value in values.items() if key not in own}
        search, space = self.search.model_copy(update=others), self.space_at(own)
        starts = [{name: one[name] for name in one if name in space.names} for one in search.start_with]
        if search.sampler == "one_at_a_time":
            starts = space.one_at_a_time(self.baseline.configuration) or []
        fixed = self.learner.settled({**self.fixed, **own}) if own else self.fixed
        name = "-".join(map(str, values.values())) or "search"
        return Arm(name, search.model_copy(update={"start_with": starts}), fixed, values, name)

    @property
    def rivals(self) -> dict[str, dict[str, list[str]]]:
        """What is compared, the searches of each by their group; by the second setting's value, if any."""
        found: dict[str, dict[str, list[str]]] = {}
        for arm in self.arms:
            _, *second = arm.compared.values() or ("",)
            found.setdefault("".join(map(str, second)), {}).setdefault(arm.group, []).append(arm.name)
        return found

    def space_of(self, arm: Arm) -> Space:
        """What an arm searches: the whole space, or what of it counts at the arm's compared value."""
        return self.space_at(arm.fixed)

    def space_at(self, fixed: Mapping[str, Value]) -> Space:
        """What of the space counts at compared values: `when` may name them, and a model reads its own."""
        known = self.learner.hyperparameters
        at = {key: fixed[key] for key in self.compared if key in known}
        if not at:
            return self.space
        read = self.learner.read({**self.defaults, **at}) if "model" in at else known
        kept: dict[str, Dimension] = {}
        for one in self.space:
            name, values = one.parent or ("", ())
            parent = None if name in at else one.parent
            is_there = parent[0] in kept if parent else not name or at[name] in values
            if is_there and one.name in read:
                kept[one.name] = replace(one, parent=parent)
        return Space(tuple(kept.values()))

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
            "model": self.model,
            "sources": dict(self.learner.sources()),
        }
        return {
            "prepare": {**where, "split": self.split.model_dump()},
            "baseline": {
                **train,
                "repeats": self.confirm.repeats,
                "configuration": dict(self.baseline.configuration),
            },
            "search": {
                **train,
                "space": space,
                "arms": [
                    {
                        "name": arm.name,
                        # How often it is repeated changes nothing in one search.
                        **arm.search.model_dump(exclude={"searches"}),
                        "sampler": arm.sampler,
                        "pruner": arm.pruner,
                        "fixed": dict(arm.fixed),
                        **({"seed_path": list(arm.seed_path)} if arm.seed_path else {}),
                        **({"earlier": digest(self.earlier[arm.name])} if self.earlier else {}),
                    }
                    for arm in self.arms
                ],
            },
            "confirm": {**train, **self.confirm.model_dump(), "baseline": dict(self.baseline.configuration)},
            "report": {"question": self.question},
        }


Direction = Literal["maximize", "minimize"]
# Where a data card says how many inputs each split has, and of what shape; the second: of images.
CARD_KEYS = (("num_rows", "input_shape"), ("num_images", "image_shape"))


class DataShape(NamedTuple):
    """What is known of prepared data before they are opened.

    Attributes:
        input_shape: of one input; (height, width, channels) for images, (num_features,) for features,
            (length,) for tokens.
        num_train, num_val: how many inputs these splits have.
        kind: images (uint8, 0-255), features (float32) or tokens (int32).
        vocabulary: of tokens how many there may be, 0 included; else 0.
    """

    input_shape: tuple[int, ...]
    num_classes: int
    num_train: int
    num_val: int
    kind: str = "images"
    vocabulary: int = 0

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Self:
        """What a data card says."""
        kind = card.get("kind", "images")
        sizes, shape = (card[key] for key in CARD_KEYS[kind == "images"])
        vocabulary = card["encoding"]["vocabulary"] if kind == "tokens" else 0
        return cls(tuple(shape), card["num_classes"], sizes["train"], sizes["val"], kind, vocabulary)


class Learner(Protocol):
    """What a study trains: a family of models, or the user's own.

    Attributes:
        hyperparameters: all that a configuration has a value for, in the order of result tables.
        metrics: what an epoch reports, and which way is better, in the order of result tables.
    """

    @property
    def hyperparameters(self) -> Mapping[str, Hyperparameter]: ...  # noqa: D102  see above
    @property
    def metrics(self) -> Mapping[str, Direction]: ...  # noqa: D102  see above

    def as_settings(self) -> dict[str, Any]:
        """What a worker needs to find it again, as a JSON value; its "kind" says who makes it again."""

    def sources(self) -> Mapping[str, str]:
        """The files that make it what it is, and the SHA-256 of each: results depend on them."""

    def examine(self, study: Study, data: DataShape) -> Iterable[str]:
        """What trying it shows before any training, a line each.

        Raises:
            StudyError: it cannot be trained as the study file says.
        """

    def read(self, configuration: Configuration) -> Configuration:
        """The part of a configuration that its model reads: nothing that only other models have."""

    def settled(self, configuration: Configuration) -> Configuration:
        """The configuration as it is trained: where the model decides a value, with that."""

    def weights_suffix(self, configuration: Configuration) -> str:
        """How the name of a file of its weights ends; begins with ".weights."."""

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """One epoch, in multiply-adds: a pure function, the same on every machine, never measured."""

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the configuration's model has, trained ones and others; 0 if it cannot be made."""

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """What trains in a worker, and the device that it trains on, in words; heavy imports happen here."""

    def restore(
        self, configuration: Configuration, data: DataShape, weights_path: Path, weights_sha256: str
    ) -> Model:
        """The configuration's model with the weights of a file that its program has saved.

        Raises:
            StoreError: the file is damaged, of another model, or holds other weights than the recorded ones.
        """


class Learners(Protocol):
    """Finds the learner of a study.

    Attributes:
        words: what a study file may have for its model beside a file of its own; the first is the default.
    """

    @property
    def words(self) -> Sequence[str]: ...  # noqa: D102  see above

    def find(self, word: str, tables: Mapping[str, Any]) -> Learner:
        """The learner that a study file names for its model.

        Args:
            tables: the study file's tables, unchecked.

        Raises:
            StudyError: there is no such model.
        """

    def stand_in(self, word: str, tables: Mapping[str, Any]) -> Learner:
        """What the rest of a study file is checked with where `find` has raised."""
