"""Which values each hyperparameter may take: what is known of each, and what a study searches."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pipeline.errors import Problem, nearest, shortened

Value = int | float | str
Configuration = Mapping[str, Value]
Parent = tuple[str, tuple[Value, ...]]


@dataclass(frozen=True)
class Hyperparameter:
    """What may be said of one hyperparameter in any study. `default` is the tutorial's value."""

    kind: type[int] | type[float] | type[str]
    default: Value
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    words: tuple[str, ...] = ()

    def bounds(self) -> str:
        """The permitted values in words."""
        if self.words:
            return f"one of {', '.join(self.words)}"
        noun = "a whole number" if self.kind is int else "a number"
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"{noun} in {left}{self.low:g}, {self.high:g}{right}"

    def admits(self, value: object) -> bool:
        """Whether `value` has the right type and lies within the bounds."""
        if self.kind is str:
            return value in self.words
        if isinstance(value, bool) or not isinstance(value, (int, float) if self.kind is float else int):
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return math.isfinite(value) and above and below


HYPERPARAMETERS: Mapping[str, Hyperparameter] = MappingProxyType(
    {
        "model": Hyperparameter(str, "mlp", words=("mlp", "cnn")),
        "batch_size": Hyperparameter(int, 32, 1, 65_536),
        "learning_rate": Hyperparameter(float, 0.001, 0, 10, low_open=True),
        "dropout": Hyperparameter(float, 0.0, 0, 1, high_open=True),
        "hidden_layers": Hyperparameter(int, 1, 0, 32),
        "hidden_units": Hyperparameter(int, 128, 1, 65_536),
        "filters": Hyperparameter(int, 16, 1, 4_096),
        "activation": Hyperparameter(str, "relu", words=("relu", "sigmoid", "tanh")),
        "rotation": Hyperparameter(float, 0.0, 0, 0.5),
        "zoom": Hyperparameter(float, 0.0, 0, 0.9),
        "epochs": Hyperparameter(int, 5, 1, 100_000),
    }
)

DEFAULTS: Configuration = MappingProxyType({name: known.default for name, known in HYPERPARAMETERS.items()})


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `step` None means every number between."""

    low: float
    high: float
    is_int: bool
    log: bool = False
    step: float | None = None

    def holds(self, value: object) -> bool:
        """Whether a trial could be given `value`."""
        if isinstance(value, bool) or not isinstance(value, int if self.is_int else (int, float)):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return math.isclose(steps, round(steps), abs_tol=1e-9)

    def points(self) -> tuple[Value, ...] | None:
        """Every value in ascending order, or None where they cannot be counted."""
        step = self.step or (1 if self.is_int and not self.log else None)
        if step is None:
            return None
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        values = [self.low + index * step for index in range(count)]
        return tuple(round(value) if self.is_int else value for value in values)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Value, ...]

    def holds(self, value: object) -> bool:
        """Whether a trial could be given `value`."""
        return any(value == known and type(value) is type(known) for known in self.values)

    def points(self) -> tuple[Value, ...]:
        """Every value, in the order of the file."""
        return self.values


@dataclass(frozen=True)
class Dimension:
    """One searched hyperparameter; `parent` names another and the values at which this one counts."""

    name: str
    values: Range | Choice
    parent: Parent | None = None

    def is_active(self, chosen: Mapping[str, Value]) -> bool:
        """Whether this hyperparameter counts, given the values chosen before it."""
        return self.parent is None or chosen.get(self.parent[0]) in self.parent[1]


@dataclass(frozen=True)
class Space:
    """The searched hyperparameters in the order of the file; a parent comes before its children."""

    dimensions: tuple[Dimension, ...] = field(default=())

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self.dimensions)

    @property
    def names(self) -> tuple[str, ...]:
        """The searched hyperparameters' names."""
        return tuple(dimension.name for dimension in self)

    @property
    def has_parents(self) -> bool:
        """Whether some hyperparameter counts only at some values of another."""
        return any(dimension.parent for dimension in self)

    def active(self, chosen: Mapping[str, Value]) -> dict[str, Value]:
        """Of a value for each name, those that count, in the order of the space."""
        kept: dict[str, Value] = {}
        for dimension in self:
            if dimension.is_active(kept):
                kept[dimension.name] = chosen[dimension.name]
        return kept

    def grid(self) -> list[dict[str, Value]] | None:
        """Every distinct active assignment in a fixed order, or None where they cannot be counted."""
        axes = [dimension.values.points() for dimension in self]
        if any(axis is None for axis in axes):
            return None
        combinations = itertools.product(*(axis for axis in axes if axis is not None))
        rows = [self.active(dict(zip(self.names, row, strict=True))) for row in combinations]
        return list({tuple(row.items()): row for row in rows}.values())

    def grid_size(self) -> int | None:
        """How many points the grid has at most, without making it."""
        axes = [dimension.values.points() for dimension in self]
        return None if None in axes else math.prod(len(axis) for axis in axes if axis is not None)


def dimension(name: str, table: object) -> Dimension | list[Problem]:
    """One entry of a study's [space], read and checked; or everything that is wrong with it."""
    if not isinstance(table, dict):
        shape = f"{name} = {{ choice = [{table!r}] }}"
        return [
            Problem(
                "an entry must be a table with float, int or choice.",
                shortened(table),
                f"Write {shape}, or move {name} to [fixed].",
                name,
            )
        ]
    kinds = [kind for kind in ("float", "int", "choice") if kind in table]
    if len(kinds) != 1:
        return [
            Problem(
                "an entry must have exactly one of float, int, choice.",
                shortened(table),
                f"Write {name} = {{ float = [low, high] }}.",
                name,
            )
        ]
    kind = kinds[0]
    allowed = {kind, "when"} | (set() if kind == "choice" else {"log", "step"})
    problems = [
        Problem(f"unknown key {key!r}.", shortened(table), nearest(key, allowed), name)
        for key in table.keys() - allowed
    ]
    parent = _parent(name, table.get("when"))
    values = _choice(name, table[kind]) if kind == "choice" else _range(name, kind, table)
    for part in (parent, values):
        if isinstance(part, list):
            problems += part
    if problems or isinstance(values, list) or isinstance(parent, list):
        return problems
    return Dimension(name, values, parent)


def _parent(name: str, when: object) -> Parent | list[Problem] | None:
    if when is None:
        return None
    if not isinstance(when, dict) or len(when) != 1:
        return [
            Problem(
                "when must name one other hyperparameter and its value.",
                shortened(when),
                'Write when = { model = "cnn" }.',
                name,
            )
        ]
    [(parent, values)] = when.items()
    return parent, tuple(values) if isinstance(values, list) else (values,)


def _choice(name: str, values: object) -> Choice | list[Problem]:
    if not isinstance(values, list) or not values:
        return [
            Problem(
                "choice must be a list of at least one value.",
                shortened(values),
                f"Write {name} = {{ choice = [first, second] }}.",
                name,
            )
        ]
    if len({(type(value), str(value)) for value in values}) < len(values):
        return [
            Problem("choice must not repeat a value.", shortened(values), "Remove the repeated value.", name)
        ]
    return Choice(tuple(values))


def _range(name: str, kind: str, table: dict[str, object]) -> Range | list[Problem]:
    ends = table[kind]
    is_int = kind == "int"
    wanted = int if is_int else (int, float)
    if (
        not isinstance(ends, list)
        or len(ends) != 2
        or not all(
            isinstance(end, wanted) and not isinstance(end, bool) and math.isfinite(end) for end in ends
        )
    ):
        noun = "two whole numbers" if is_int else "two finite numbers"
        return [
            Problem(
                f"{kind} must be {noun}.",
                f"{kind} = {shortened(ends)}",
                f"Write {name} = {{ {kind} = [low, high] }}.",
                name,
            )
        ]
    low, high = ends
    log, step = table.get("log", False), table.get("step")
    problems = []
    if low >= high:
        problems.append(
            Problem(
                "the first end must be below the second.",
                f"{kind} = [{low}, {high}]",
                f"Swap them: {kind} = [{high}, {low}]." if low > high else f"Move {name} to [fixed].",
                name,
            )
        )
    if not isinstance(log, bool):
        problems.append(Problem("log must be true or false.", shortened(log), "Write log = true.", name))
    elif log and low <= 0:
        problems.append(
            Problem(
                "a log scale must begin above 0.",
                f"{kind} = [{low}, {high}], log = true",
                "Raise the first end above 0, or drop log.",
                name,
            )
        )
    if step is not None:
        problems += _step(name, step, is_int, bool(log), high - low)
    if problems:
        return problems
    return Range(low, high, is_int, bool(log), step if isinstance(step, (int, float)) else None)


def _step(name: str, step: object, is_int: bool, log: bool, width: float) -> list[Problem]:
    if isinstance(step, bool) or not isinstance(step, int if is_int else (int, float)):
        return [
            Problem(
                "step must be a number of the range's kind.",
                f"step = {shortened(step)}",
                "Write step = 1, say.",
                name,
            )
        ]
    if log:
        return [
            Problem(
                "step and log must not meet in one entry.",
                f"step = {step}, log = true",
                "Drop one of them.",
                name,
            )
        ]
    if not 0 < step <= width:
        return [
            Problem(
                "step must be above 0 and no larger than the range.",
                f"step = {step}",
                f"Choose a step in (0, {width:g}].",
                name,
            )
        ]
    return []
