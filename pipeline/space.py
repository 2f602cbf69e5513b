"""Which values each hyperparameter may ever take, and which of them a study searches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from pipeline.errors import Problem, as_toml, nearest

Value = int | float | str
Configuration = Mapping[str, Value]
Parent = tuple[str, tuple[Value, ...]]


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of a learner: its kind, the values that it may ever have, and its default.

    Attributes:
        kind: None for any number or text.
        default: None where a study has to give it.
        counts_at: another hyperparameter, and the values of it at which this one has an effect; None: at all.
    """

    kind: type[int] | type[float] | type[str] | None
    default: Value | None
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    words: tuple[str, ...] = ()
    counts_at: Parent | None = None

    def bounds(self) -> str:
        """The permitted values in words."""
        if self.words:
            return f"one of {', '.join(self.words)}"
        if self.kind is None:
            return "a number or a text"
        noun = "a whole number" if self.kind is int else "a number"
        if math.isinf(self.low) and math.isinf(self.high):
            return noun
        left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
        return f"{noun} in {left}{self.low:g}, {self.high:g}{right}"

    def admits(self, value: object) -> bool:
        """Whether `value` has the right type and lies within the bounds."""
        if self.kind is str:
            return value in self.words
        if self.kind is None and isinstance(value, str):
            return True
        if isinstance(value, bool) or not isinstance(value, int if self.kind is int else (int, float)):
            return False
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        # Only a float can be infinite, and a huge whole number cannot be asked.
        return above and below and (isinstance(value, int) or math.isfinite(value))

    def exact(self, value: Value) -> Value:
        """An admitted value as trials are given it: a rate of 1 is 1.0."""
        return float(value) if self.kind is float else value

    def counts(self, configuration: Configuration) -> bool:
        """Whether it has an effect beside the configuration's other values."""
        return self.counts_at is None or configuration.get(self.counts_at[0]) in self.counts_at[1]

    def problem(self, value: object) -> Problem | None:
        """What is wrong with `value`, not yet placed; None if it is admitted."""
        if self.admits(value):
            return None
        return Problem(f"must be {self.bounds()}.", as_toml(value), self._advice(value))

    def _advice(self, value: object) -> str:
        if self.words:
            return nearest(str(value), self.words) if isinstance(value, str) else f'Write "{self.words[0]}".'
        if isinstance(value, str) and self.admits(_number(value)):
            return f"Write it without quotes: {_number(value)}."
        default = "" if self.default is None else f"; the default is {self.default}"
        return f"Choose a value in these bounds{default}."


def _number(text: str) -> int | float | None:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None


def defaults(known: Mapping[str, Hyperparameter]) -> Configuration:
    """Every hyperparameter's default, where it has one."""
    return {name: one.default for name, one in known.items() if one.default is not None}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `step` None means every number between."""

    low: float
    high: float
    is_int: bool
    log: bool = False
    step: float | None = None

    @property
    def width(self) -> Fraction:
        """How far it is from `low` to `high`, exactly as the two are written."""
        return Fraction(str(self.high)) - Fraction(str(self.low))

    @property
    def stride(self) -> Fraction | None:
        """From one value to the next, exactly as written, or None where the values cannot be counted."""
        step = self.step or (1 if self.is_int and not self.log else None)
        return None if step is None else Fraction(str(step))

    def holds(self, value: object) -> bool:
        """Whether a trial could be given `value`."""
        if isinstance(value, bool) or not isinstance(value, int if self.is_int else (int, float)):
            return False
        if not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        # Samplers reach a value by adding steps, so its last digits differ from the written one's.
        return math.isclose(steps, round(steps), rel_tol=0.0, abs_tol=1e-6)

    def num_points(self) -> int | None:
        """How many values there are, or None where they cannot be counted."""
        return None if self.stride is None else self.width // self.stride + 1

    def points(self) -> tuple[Value, ...] | None:
        """Every value in ascending order, or None where they cannot be counted."""
        count, stride, low = self.num_points(), self.stride, Fraction(str(self.low))
        if count is None or stride is None:
            return None
        # In fractions, so that the third of 0.1, 0.2, ... is 0.3 as a person writes it.
        return tuple(self._plain(low + index * stride) for index in range(count))

    @property
    def ends(self) -> tuple[Value, Value]:
        """The lowest and the highest value."""
        return self._plain(self.low), self._plain(self.high)

    @property
    def centre(self) -> Value:
        """The mean, the geometric on a log scale; where values can be counted, one of them.

        Of an even number it is the upper of the middle two. A mean is rounded to six significant digits.
        """
        if self.stride is not None:
            # In fractions, so that it is written as the file writes it.
            return self._plain(Fraction(str(self.low)) + (self.num_points() or 0) // 2 * self.stride)
        # Halves and roots first, for a sum or a product of two ends may be no longer a float.
        low, high = self.low, self.high
        exact = math.sqrt(low) * math.sqrt(high) if self.log else low / 2 + high / 2
        return round(exact) if self.is_int else min(max(float(f"{exact:.6g}"), low), high)

    def _plain(self, number: float | Fraction) -> Value:
        return int(number) if self.is_int else float(number)


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Value, ...]

    def holds(self, value: object) -> bool:
        """Whether a trial could be given `value`."""
        return any(value == known and type(value) is type(known) for known in self.values)

    def num_points(self) -> int:
        """How many values there are."""
        return len(self.values)

    def points(self) -> tuple[Value, ...]:
        """Every value, in the order of the file."""
        return self.values

    @property
    def ends(self) -> tuple[Value, Value]:
        """The first and the last value."""
        return self.values[0], self.values[-1]

    @property
    def centre(self) -> Value:
        """The value in the middle of the list; of an even number the later of two."""
        return self.values[len(self.values) // 2]


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

    dimensions: tuple[Dimension, ...] = ()

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

    def centre(self) -> dict[str, Value]:
        """The centre of each hyperparameter that counts there: what to try first where nothing is known.

        Source: Song et al. (2024), "The Vizier Gaussian Process Bandit Algorithm", arXiv:2408.11527: a person
            who writes a range mostly puts what is known to work into its middle.
        """
        return self.active({entry.name: entry.values.centre for entry in self})

    def corners(self) -> list[dict[str, Value]]:
        """The centre, all first and all last values together, and each choice by itself: none twice."""
        central = {entry.name: entry.values.centre for entry in self}
        ends = [{entry.name: entry.values.ends[index] for entry in self} for index in (0, 1)]
        choices = [
            {**central, entry.name: value}
            for entry in self
            if isinstance(entry.values, Choice)
            for value in entry.values.values
        ]
        found = [self.active(point) for point in [central, *ends, *choices]]
        return [point for index, point in enumerate(found) if point not in found[:index]]

    def grid(self) -> list[dict[str, Value]] | None:
        """Every distinct active assignment in a fixed order, or None where they cannot be counted."""
        rows: list[dict[str, Value]] = [{}]
        for dimension in self:
            points = dimension.values.points()
            if points is None:
                return None
            taken = [{dimension.name: point} for point in points]
            rows = [{**row, **one} for row in rows for one in (taken if dimension.is_active(row) else [{}])]
        return rows

    def one_at_a_time(self, plain: Mapping[str, Value]) -> list[dict[str, Value]] | None:
        """What differs from `plain` in one value, in a fixed order; None where that cannot be counted.

        Args:
            plain: a value for every name; a hyperparameter that a change brings into play has its value here.
        """
        known = {name: plain[name] for name in self.names}
        rows: list[dict[str, Value]] = []
        for dimension in self:
            points = dimension.values.points()
            if points is None:
                return None
            rows += [self.active({**known, dimension.name: point}) for point in points]
        return [
            row for index, row in enumerate(rows) if row != self.active(known) and row not in rows[:index]
        ]

    def grid_size(self) -> int | None:
        """How many points the grid has, without making it; None where they cannot be counted."""
        if any(dimension.values.num_points() is None for dimension in self):
            return None
        return math.prod(self._assignments(root) for root in self if root.parent is None)

    def _assignments(self, root: Dimension) -> int:
        """How many ways there are to give values to `root` and to all that hangs on it."""
        children = [entry for entry in self if entry.parent and entry.parent[0] == root.name]
        hung = {value for entry in children if entry.parent for value in entry.parent[1]}
        sizes = {entry.name: self._assignments(entry) for entry in children}
        held = [value for value in hung if root.values.holds(value)]
        branches = (
            math.prod(sizes[entry.name] for entry in children if entry.is_active({root.name: value}))
            for value in held
        )
        return (root.values.num_points() or 0) - len(held) + sum(branches)
