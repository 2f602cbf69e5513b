"""Which values a study searches: ranges and choices, and the space they make together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from pipeline.space.known import Value

Parent = tuple[str, tuple[Value, ...]]


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
        numbers = (low + index * stride for index in range(count))
        return tuple(int(number) if self.is_int else float(number) for number in numbers)


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
        rows: list[dict[str, Value]] = [{}]
        for dimension in self:
            points = dimension.values.points()
            if points is None:
                return None
            rows = [
                taken
                for row in rows
                for taken in (
                    [{**row, dimension.name: point} for point in points]
                    if dimension.is_active(row)
                    else [row]
                )
            ]
        return rows

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
