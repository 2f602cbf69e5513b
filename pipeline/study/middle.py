"""The middle of a space: the configuration to try first where nothing is known yet.

A person who writes a range mostly puts what is known to work into its middle. Google's Vizier begins every
search there: Song et al. 2024, "The Vizier Gaussian Process Bandit Algorithm", arXiv:2408.11527.
"""

from __future__ import annotations

from fractions import Fraction
from math import sqrt

from pipeline.space import Choice, Range, Space, Value

MIDDLE = "middle"


def middle(space: Space) -> dict[str, Value]:
    """For each hyperparameter that counts there the middle of its range, or of its list as the file has it.

    Of an even number of values it is the upper of the two. On a log scale it is the geometric mean. A mean is
    rounded to six significant digits.
    """
    return space.active({entry.name: _middle(entry.values) for entry in space})


def corners(space: Space) -> list[dict[str, Value]]:
    """The middle, the lowest and the highest values together, and each choice by itself: none twice."""
    entries = list(space)
    central = {entry.name: _middle(entry.values) for entry in entries}
    ends = [{entry.name: _end(entry.values, index) for entry in entries} for index in (0, -1)]
    choices = [
        {**central, entry.name: value}
        for entry in entries
        if isinstance(entry.values, Choice)
        for value in entry.values.values
    ]
    found = [space.active(point) for point in [central, *ends, *choices]]
    return [point for index, point in enumerate(found) if point not in found[:index]]


def _end(values: Range | Choice, index: int) -> Value:
    if isinstance(values, Choice):
        return values.values[index]
    end = (values.low, values.high)[index]
    return int(end) if values.is_int else end


def _middle(values: Range | Choice) -> Value:
    if isinstance(values, Choice):
        return values.values[len(values.values) // 2]
    if values.stride is not None:
        # In fractions, so that it is written as the file writes it.
        point = Fraction(str(values.low)) + (values.num_points() or 0) // 2 * values.stride
        return int(point) if values.is_int else float(point)
    # Halves and roots first, for a sum or a product of two ends may be no longer a float.
    exact = sqrt(values.low) * sqrt(values.high) if values.log else values.low / 2 + values.high / 2
    return round(exact) if values.is_int else min(max(float(f"{exact:.6g}"), values.low), values.high)
