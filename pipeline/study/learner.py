"""The seam to what is trained, which alone knows its hyperparameters, metrics, cost and files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, Self

from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.study.definition import Study
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
        hyperparameters: all that a configuration has a value for, in the order of result tables.
        metrics: what an epoch reports, and which way is better, in the order of result tables.
        weights_suffix: how the names of its weights' files end; begins with ".weights.".
    """

    @property
    def hyperparameters(self) -> Mapping[str, Hyperparameter]: ...  # noqa: D102  see above
    @property
    def metrics(self) -> Mapping[str, Direction]: ...  # noqa: D102  see above
    @property
    def weights_suffix(self) -> str: ...  # noqa: D102  see above

    def as_settings(self) -> dict[str, Any]:
        """What a worker needs to find it again, as a JSON value; its "kind" says who makes it again."""

    def sources(self) -> Mapping[str, str]:
        """What results depend on beside this package: files of the project and the SHA-256 of each."""

    def examine(self, study: Study, data: DataShape) -> Iterable[str]:
        """What trying it shows before any training, a line each.

        Raises:
            StudyError: it cannot be trained as the study file says.
        """

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """One epoch, in multiply-adds: a pure function, the same on every machine, never measured."""

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the configuration's model has, trained ones and others; 0 if it cannot be made."""

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """What trains in a worker, and the device that it trains on, in words; heavy imports happen here."""

    def restore(
        self, configuration: Configuration, data: DataShape, weights_path: Path, weights_sha256: str
    ) -> Any:
        """The configuration's model with the weights of a file that its program has saved.

        Raises:
            StoreError: the file is damaged, of another model, or holds other weights than the recorded ones.
        """


class Learners(Protocol):
    """Finds the learner of a study.

    Attributes:
        words: what a study file may have for its model beside a file of its own; the first is the default.
    """

    @property
    def words(self) -> Sequence[str]: ...  # noqa: D102  see above

    def find(self, word: str, tables: Mapping[str, Any]) -> Learner:
        """The learner that a study file names for its model.

        Args:
            tables: the study file's tables, unchecked.

        Raises:
            StudyError: there is no such model.
        """
