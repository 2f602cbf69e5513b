"""Doors to Optuna and Keras Tuner: each proposes trials through ask, report and tell.

An engine holds its history in memory alone. A search that goes on plays its record to a fresh engine, which
then stands where the old one stood; nothing is read back from a store, so no store can change a result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pipeline import seeds
from pipeline.errors import StudyError
from pipeline.space import Choice, Configuration, Dimension, Space, Value
from pipeline.study import Arm
from pipeline.trial import Trial

if TYPE_CHECKING:
    from pipeline.search import Engine


# So many refused proposals in a row say that next to nothing is left of the space.
MOST_REFUSED = 500


@dataclass(frozen=True)
class Assignment:
    """What an engine is asked to do: an arm of a study, without its files.

    Attributes:
        defaults: a value for every hyperparameter.
        allows: whether a configuration may be trained; what is refused takes no number and no budget.
        earlier: values and scores of trials of another search, to be learnt from.
    """

    arm: Arm
    space: Space
    defaults: Configuration
    seed: int
    metric: str
    is_maximized: bool
    allows: Callable[[Configuration], bool] = lambda _: True
    earlier: Sequence[tuple[Mapping[str, Value], float]] = ()

    def trial(self, number: int, values: dict[str, Value], epochs: int | None = None) -> Trial:
        """The trial that gives the active ones among `values` to the model, the rest fixed or default."""
        given = [entry for entry in self.space if entry.name in values]
        active = self.space.active({entry.name: _exact(values[entry.name], entry) for entry in given})
        epochs = epochs or self.arm.epochs
        configuration = {**self.defaults, **self.arm.fixed, **active, "epochs": epochs}
        # No compared value among the names: trial 7 of every arm draws alike, so arms differ in their choices
        # alone; searches of one arm differ in what they draw.
        return Trial(number, active, configuration, epochs, (*self.arm.seed_path, "trial", number))

    def stream(self, *names: int | str) -> int:
        """A seed for what the engine itself draws under these names."""
        return seeds.stream(self.seed, *self.arm.seed_path, "sampler", *names)


def _exact(value: Value, entry: Dimension) -> Value:
    """The value as the study file would write it: Python's own number, inside its range, on its grid."""
    # An engine may answer in NumPy's numbers, with the last digits of a sum or a power.
    item = getattr(value, "item", None)
    plain: Value = item() if item else value
    if isinstance(entry.values, Choice) or isinstance(plain, str):
        return plain
    values = entry.values
    if values.step is not None:
        index = round((plain - values.low) / values.step)
        plain = float(Fraction(str(values.low)) + index * Fraction(str(values.step)))
    inside = min(max(plain, values.low), values.high)
    return int(inside) if values.is_int else float(inside)


def too_many_refused(assignment: Assignment) -> StudyError:
    """What is wrong where so many proposals in a row are refused."""
    return StudyError.of(
        "must leave the search something to train.",
        f"the last {MOST_REFUSED} configurations proposed were all refused",
        "Raise the limit, or narrow [space].",
        f"[search] at_most, arm {assignment.arm.name}",
    )


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
