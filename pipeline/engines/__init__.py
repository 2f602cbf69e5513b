"""Doors to Optuna and Keras Tuner: each proposes trials through ask, report and tell.

An engine holds its history in memory alone. A search that goes on plays its record to a fresh engine, which
then stands where the old one stood; nothing is read back from a store, so no store can change a result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.space import DEFAULTS, Space, Value
from pipeline.study import Arm
from pipeline.trial import Trial

if TYPE_CHECKING:
    from pipeline.search import Engine


@dataclass(frozen=True)
class Assignment:
    """What an engine is asked to do: an arm of a study, without its files."""

    arm: Arm
    space: Space
    seed: int
    metric: str
    is_maximized: bool

    def trial(self, number: int, values: dict[str, Value], epochs: int | None = None) -> Trial:
        """The trial that gives the active ones among `values` to the model, the rest fixed or default."""
        # An engine may answer in NumPy's numbers; a record holds Python's.
        active = {name: _plain(value) for name, value in self.space.active(values).items()}
        epochs = epochs or self.arm.epochs
        configuration = {**DEFAULTS, **self.arm.fixed, **active, "epochs": epochs}
        # No arm among the names: trial 7 of every arm draws alike, so arms differ in their choices alone.
        return Trial(number, active, configuration, epochs, ("trial", number))


def _plain(value: Value) -> Value:
    item = getattr(value, "item", None)
    plain: Value = item() if item else value
    return plain


def _optuna(assignment: Assignment) -> Engine:
    from pipeline.engines.optuna_engine import OptunaEngine

    return OptunaEngine(assignment)


def _keras_tuner(assignment: Assignment) -> Engine:
    from pipeline.engines.keras_tuner_engine import KerasTunerEngine

    return KerasTunerEngine(assignment)


ENGINES: dict[str, Callable[[Assignment], Engine]] = {"optuna": _optuna, "keras_tuner": _keras_tuner}


def open_engine(assignment: Assignment) -> Engine:
    """The engine that the arm names, at the start of its sequence."""
    return ENGINES[assignment.arm.search.engine](assignment)
