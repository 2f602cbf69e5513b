"""Networks and scikit-learn's models as arms of one study: each configuration is its own learner's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.learners.networks import NAMES, NETWORKS, Networks
from pipeline.learners.scikit import SCIKIT, Scikit
from pipeline.space import Configuration, Hyperparameter
from pipeline.study import DataShape, Direction, Study
from pipeline.trial import Metrics, Trial

if TYPE_CHECKING:
    from pipeline.training.program import Model, Program


@dataclass(frozen=True)
class Mixed:
    """A learner of some of either."""

    networks: Networks = NETWORKS
    scikit: Scikit = SCIKIT

    @property
    def hyperparameters(self) -> Mapping[str, Hyperparameter]:
        """The networks', those of scikit-learn's models after them, in the order of result tables."""
        own, other = self.networks.hyperparameters, self.scikit.hyperparameters
        words = (*own["model"].words, *other["model"].words)
        model = Hyperparameter(str, own["model"].default, words=words)
        return {**own, "model": model, **{name: one for name, one in other.items() if name not in own}}

    @property
    def metrics(self) -> Mapping[str, Direction]:
        """The networks'; what an epoch does on train is theirs alone."""
        return self.networks.metrics

    def as_settings(self) -> dict[str, Any]:
        """What a worker needs to find it again."""
        return {"kind": "mixed"}

    def sources(self) -> dict[str, str]:
        """What either depends on."""
        return {**self.networks.sources(), "scikit": self.scikit.sources()["pipeline"]}

    def examine(self, study: Study, data: DataShape) -> Iterable[str]:
        """What trying either shows."""
        return [*self.networks.examine(study, data), *self.scikit.examine(study, data)]

    def of(self, configuration: Configuration) -> Networks | Scikit:
        """The learner that a configuration is of."""
        return self.networks if configuration["model"] in NAMES else self.scikit

    def read(self, configuration: Configuration) -> Configuration:
        """What the configuration's model has, or what all networks share."""
        one = self.of(configuration)
        others = self.hyperparameters.keys() - one.hyperparameters.keys()
        return one.read({name: value for name, value in configuration.items() if name not in others})

    def settled(self, configuration: Configuration) -> Configuration:
        """The configuration as it is trained."""
        return self.of(configuration).settled(configuration)

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """One epoch, in multiply-adds."""
        return self.of(configuration).cost(self.read(configuration), data)

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the configuration's model has."""
        return self.of(configuration).num_weights(self.read(configuration), data)

    def weights_suffix(self, configuration: Configuration) -> str:
        """How the name of a file of weights ends."""
        return self.of(configuration).weights_suffix(configuration)

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """What trains either, and the device that networks train on, in words."""
        networks, device = self.networks.open(settings)
        fitting, _ = self.scikit.open(settings)
        return Either(self, networks, fitting), device

    def restore(
        self, configuration: Configuration, data: DataShape, weights_path: Path, weights_sha256: str = ""
    ) -> Model:
        """The configuration's model with the weights of its file."""
        one = self.of(configuration)
        return one.restore(self.read(configuration), data, weights_path, weights_sha256)


class Either:
    """Hands each trial to the program of its learner."""

    def __init__(self, learner: Mixed, networks: Program, fitting: Program) -> None:
        self._learner, self._networks, self._fitting = learner, networks, fitting
        self._of: dict[int, Program] = {}
        self.slots = networks.slots

    def start(self, trial: Trial) -> None:
        """Make the trial's model."""
        is_network = self._learner.of(trial.configuration) is self._learner.networks
        self._of[trial.number] = self._networks if is_network else self._fitting
        own = self._learner.read(trial.configuration)
        self._of[trial.number].start(Trial(trial.number, trial.values, own, trial.epochs, trial.seed_path))

    def epochs(self, numbers: Sequence[int]) -> dict[int, Metrics]:
        """Train the first for one more epoch, and those that the same call can train."""
        first = self._of[numbers[0]]
        return first.epochs([number for number in numbers if self._of[number] is first])

    def predict(self, number: int, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) by the trial's weights of now."""
        return self._of[number].predict(number, inputs)

    def digest(self, number: int) -> str:
        """The SHA-256 of the trial's weights of now."""
        return self._of[number].digest(number)

    def save(self, number: int, path: Path) -> None:
        """Write the trial's weights in its learner's file format."""
        self._of[number].save(number, path)

    def drop(self, number: int) -> None:
        """Forget the trial."""
        if number in self._of:
            self._of.pop(number).drop(number)
