"""The seam between what is trained and how: one way to train, what it needs to be told, and what it makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline import seeds
from pipeline.space import Configuration
from pipeline.trial import Metrics, Trial

if TYPE_CHECKING:
    import keras

    from pipeline.study import DataShape

Shape = tuple[int, ...]
Indices = NDArray[np.int64]
SeedOf = Callable[[str], int]


def num_used(configuration: Configuration, num_train: int) -> int:
    """How many of train's inputs a configuration is trained on."""
    return min(num_train, int(configuration.get("train_images", 0)) or num_train)


def used(study_seed: int, configuration: Configuration, num_train: int) -> Indices | None:
    """Which of train's inputs a configuration is trained on, (num_used,), ascending; None: all of them.

    All trials of a study take the same, and the fewer are among the more.
    """
    num = num_used(configuration, num_train)
    if num == num_train:
        return None
    return np.sort(seeds.generator(study_seed, "train_images").permutation(num_train)[:num])


class Builder(Protocol):
    """Makes Keras models of configurations."""

    def given(self, data: DataShape) -> Builder:
        """The builder of models of these data."""

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
        """Write the trial's weights in the learner's file format, which is never pickle."""

    def drop(self, number: int) -> None:
        """Forget the trial."""


class Model(Protocol):
    """A trained model, whatever made it.

    Attributes:
        native: the library's own object.
        flavour: the library: "keras" or "sklearn".
    """

    @property
    def native(self) -> Any: ...  # noqa: D102  see above
    @property
    def flavour(self) -> str: ...  # noqa: D102  see above

    def predict(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) of raw inputs (num_inputs, ...)."""

    def described(self) -> str:
        """What it is made of, as JSON text; not its weights."""
