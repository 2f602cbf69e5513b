"""The seam to what is trained, which alone knows its hyperparameters, metrics, cost and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self

from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import Program

Direction = Literal["maximize", "minimize"]


class DataShape(NamedTuple):
    """What is known of prepared data before they are opened.

    Attributes:
        input_shape: of one input; (height, width, channels) for images.
        num_train, num_val: how many inputs these splits have.
    """

    input_shape: tuple[int, ...]
    num_classes: int
    num_train: int
    num_val: int

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Self:
        """What a data card says."""
        sizes = card["num_images"]
        return cls(tuple(card["image_shape"]), card["num_classes"], sizes["train"], sizes["val"])


class Learner(Protocol):
    """What a study trains: a family of models, or the user's own.

    Attributes:
        kind: under this name a worker finds it again.
        hyperparameters: all that a configuration has a value for, in the order of result tables.
        metrics: what an epoch reports, and which way is better, in the order of result tables.
        weights_suffix: how the names of its weights' files end; begins with ".weights.".
    """

    kind: str
    hyperparameters: Mapping[str, Hyperparameter]
    metrics: Mapping[str, Direction]
    weights_suffix: str

    def sources(self) -> Sequence[Path]:
        """The files beside this package whose content results depend on."""

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """One epoch, in multiply-adds: a pure function, the same on every machine, never measured."""

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """What trains in a worker, and the device that it trains on, in words; heavy imports happen here."""

    def restore(
        self, configuration: Configuration, data: DataShape, weights_path: Path, weights_sha256: str
    ) -> Any:
        """The configuration's model with the weights of a file that its program has saved.

        Raises:
            StoreError: the file is damaged, of another model, or holds other weights than the recorded ones.
        """
