"""scikit-learn's models as a learner: a fit is the one epoch of a trial, and nothing is pruned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pipeline.errors import StudyError
from pipeline.files import package_code
from pipeline.learners import networks
from pipeline.learners.estimators import FAMILIES, Sizes
from pipeline.learners.inputs import unfit
from pipeline.learners.networks import METRICS, OPTIONAL, metrics_of, named
from pipeline.space import Configuration, Hyperparameter
from pipeline.study import DataShape, Direction, Study
from pipeline.training.program import num_used

if TYPE_CHECKING:
    from pipeline.training.program import Model, Program

NAMES = tuple(FAMILIES)
CODE = ("learners/estimators.py", "learners/scikit.py", "training/estimator.py")
OWN = {name: one for family in FAMILIES.values() for name, one in family.hyperparameters.items()}
# The kinds of data that they take.
INPUTS = ("images", "features")
# An epoch that reported what it does on train would take about twice as long.
ON_TRAIN = ("loss", "accuracy")


@dataclass(frozen=True)
class Scikit:
    """A learner of one of scikit-learn's models, or of several that a study searches or compares."""

    names: tuple[str, ...] = NAMES
    optional: tuple[str, ...] = ()
    metrics: Mapping[str, Direction] = field(default_factory=lambda: _without_train(METRICS))

    @classmethod
    def of(cls, names: tuple[str, ...], tables: Mapping[str, Any]) -> Self:
        """The learner of these models, for the study file with these tables, unchecked."""
        return cls(names, named(tables, ("train_images",)), _without_train(metrics_of(tables)))

    @property
    def hyperparameters(self) -> Mapping[str, Hyperparameter]:
        """The model's name, what each has of its own, and the one epoch, in the order of result tables."""
        own = {name: one for family in self.names for name, one in FAMILIES[family].hyperparameters.items()}
        model = Hyperparameter(str, self.names[0], words=NAMES)
        last = {"epochs": Hyperparameter(int, 1, 1, 1), **{name: OPTIONAL[name] for name in self.optional}}
        return {"model": model, **own, **last}

    def as_settings(self) -> dict[str, Any]:
        """What a worker needs to find it again."""
        return {"kind": "scikit"}

    def sources(self) -> dict[str, str]:
        """The SHA-256 of what trains estimators."""
        return {"pipeline": package_code(CODE)}

    def examine(self, study: Study, data: DataShape) -> Iterable[str]:
        """Nothing: whatever the space holds can be fitted to images and features.

        Raises:
            StudyError: the data are of another kind.
        """
        kinds = {
            **dict.fromkeys(NAMES, INPUTS),
            **{name: one.INPUTS for name, one in networks.FAMILIES.items()},
        }
        if wrong := list(unfit(study, data, kinds, self.names, self.hyperparameters)):
            raise StudyError(*wrong)
        return ()

    def read(self, configuration: Configuration) -> Configuration:
        """What the configuration's model has."""
        own = FAMILIES[str(configuration["model"])].hyperparameters
        return {name: value for name, value in configuration.items() if name in own or name not in OWN}

    def settled(self, configuration: Configuration) -> Configuration:
        """The configuration with its one epoch."""
        return {**configuration, "epochs": 1}

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """The one fit and its answers on val, in multiply-adds: about, and the same everywhere."""
        num_train = num_used(configuration, data.num_train)
        sizes = Sizes(num_train, data.num_val, prod(data.input_shape), data.num_classes)
        return FAMILIES[str(configuration["model"])].multiply_adds(configuration, sizes)

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the model has: of all but a linear one the data decide, which counts as 0."""
        if configuration["model"] != "logistic_regression":
            return 0
        return (prod(data.input_shape) + 1) * (data.num_classes if data.num_classes > 2 else 1)

    def weights_suffix(self, configuration: Configuration) -> str:  # noqa: ARG002  the seam's name
        """How the name of a file of weights ends."""
        return ".weights.skops"

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """What fits estimators, on the processor wherever it is."""
        from pipeline import data
        from pipeline.training import scored
        from pipeline.training.estimator import Fitting

        splits = data.load(Path(settings["data_folder"]), ("train", "val"))
        fitting = Fitting(
            estimator, splits["train"], splits["val"], settings["num_classes"], settings["seed"]
        )
        return scored.wrapped(fitting, settings, splits["val"]), "CPU"

    def restore(
        self,
        configuration: Configuration,  # noqa: ARG002  the file says it
        data: DataShape,
        weights_path: Path,
        weights_sha256: str = "",
    ) -> Model:
        """The fitted model of a file of weights; see `estimator.restore`."""
        from pipeline.training.estimator import restore

        return restore(weights_path, data.num_classes, weights_sha256)


def estimator(configuration: Configuration, seed: int) -> Any:
    """The configuration's estimator, not fitted yet."""
    return FAMILIES[str(configuration["model"])].estimator(configuration, seed)


def _without_train(metrics: Mapping[str, Direction]) -> Mapping[str, Direction]:
    return {name: way for name, way in metrics.items() if name not in ON_TRAIN}


SCIKIT = Scikit()
