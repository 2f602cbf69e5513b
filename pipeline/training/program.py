"""The seam between what is trained and how: one way to train, and what it needs to be told of a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.space import Configuration
from pipeline.trial import Metrics, Trial

if TYPE_CHECKING:
    import keras

Shape = tuple[int, ...]
SeedOf = Callable[[str], int]


class Builder(Protocol):
    """Makes Keras models of configurations."""

    def build(
        self, configuration: Configuration, shape: Shape, num_classes: int, seed_of: SeedOf
    ) -> keras.Model:
        """A model from raw inputs to class probabilities; compiled to keep its own optimizer.

        Args:
            shape: of one input.
            seed_of: a name to a seed; every layer that draws has a name of its own.
        """

    def is_dense(self, configuration: Configuration) -> bool:
        """Whether it is a network of dense layers on plain pixels, and nothing else."""


class Program(Protocol):
    """One way to train: plain fit, or a compiled epoch.

    Attributes:
        slots: how many trials one call may train.
    """

    slots: int

    def start(self, trial: Trial) -> None:
        """Make the trial's model."""

    def epochs(self, numbers: Sequence[int]) -> dict[int, Metrics]:
        """Train the first of these trials for its next epoch, and those that the same call can train.

        Loss, accuracy, val_loss, val_accuracy after it, by number.
        """

    def predict(self, number: int, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) by the trial's weights of now."""

    def digest(self, number: int) -> str:
        """The SHA-256 of the trial's weights of now."""

    def save(self, number: int, path: Path) -> None:
        """Write the trial's weights as a Keras `.weights.h5` file."""

    def drop(self, number: int) -> None:
        """Forget the trial."""
