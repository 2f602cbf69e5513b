"""What may be said of a hyperparameter, whatever a study does with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import Problem, as_toml, nearest

Value = int | float | str
Configuration = Mapping[str, Value]


@dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter of a learner: its kind, the values that it may ever have, and its default.

    Attributes:
        kind: None for any number or text.
        default: None where a study has to give it.
    """

    kind: type[int] | type[float] | type[str] | None
    default: Value | None
    low: float = -math.inf
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False
    words: tuple[str, ...] = ()

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
