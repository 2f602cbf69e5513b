"""The user's own training loop behind the seam `Program`: a generator that gives metrics for each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline import data
from pipeline.learners import own_code
from pipeline.training import framework
from pipeline.training.fit import compile_as_configured, predict, save_weights, seed_of, sha256
from pipeline.training.lean import keras
from pipeline.training.program import Program, used
from pipeline.trial import Metrics, Trial

if TYPE_CHECKING:
    from pipeline.learners.own import OwnModel


class OwnData(NamedTuple):
    """What a user's `train` is given.

    Attributes:
        train, val: inputs (num_inputs, ...) and labels (num_inputs,), read-only.
        num_classes: how many labels there are.
    """

    train: tuple[NDArray[Any], NDArray[np.int64]]
    val: tuple[NDArray[Any], NDArray[np.int64]]
    num_classes: int


def open_program(learner: OwnModel, settings: Mapping[str, Any]) -> tuple[Program, str]:
    """The user's own loop if the file has one, else what trains any Keras model; and the device, in words."""
    module = own_code.load(learner.path, learner.root)
    train = own_code.loop_of(module)
    if train is None:
        return framework.open_program(learner, settings)
    device = framework.set_up(settings["threads"], settings["compiled_folder"])
    splits = data.load(Path(settings["data_folder"]), ("train", "val"))
    own = OwnData(splits["train"], splits["val"], settings["num_classes"])
    return OwnLoop(learner, train, own, settings["seed"]), device


def metrics_of(
    train: Callable[..., Any], model: keras.Model, config: own_code.Config, own: OwnData
) -> Iterator[Metrics]:
    """What the user's generator reports after each epoch.

    Raises:
        TypeError: it takes other arguments, or gives no dict of numbers; or what the user's code raises.
    """
    made, must = own_code.called(train, model, config, own), "must yield a dict of metrics after each epoch"
    if not isinstance(made, Iterable):
        raise TypeError(f"{own_code.place(train)}: {must}; it returns {type(made).__name__}")

    def checked(given: Any) -> Metrics:
        if not isinstance(given, Mapping):
            raise TypeError(f"{own_code.place(train)}: {must}, not {type(given).__name__}")
        try:
            return {str(name): float(value) for name, value in given.items()}
        except (TypeError, ValueError) as error:
            raise TypeError(f"{own_code.place(train)}: {must}, each a number ({error})") from None

    return map(checked, made)


@dataclass
class _Running:
    trial: Trial
    model: keras.Model
    metrics: Iterator[Metrics]
    epochs_done: int = 0


class OwnLoop:
    """Trains trials by the user's generator, an epoch for each dict that it gives."""

    slots = 1

    def __init__(self, learner: OwnModel, train: Callable[..., Any], own: OwnData, seed: int) -> None:
        self._learner, self._train, self._data, self._seed = learner, train, own, seed
        self._running: dict[int, _Running] = {}

    def start(self, trial: Trial) -> None:
        """Make the trial's model and the user's generator."""
        shape, configuration = self._data.train[0].shape[1:], trial.configuration
        chance = seed_of(self._seed, trial)
        model = self._learner.build(configuration, shape, self._data.num_classes, chance)
        compile_as_configured(model, configuration)
        metrics = metrics_of(self._train, model, own_code.Config(configuration), self._used(trial))
        self._running[trial.number] = _Running(trial, model, metrics)

    def _used(self, trial: Trial) -> OwnData:
        """The data with the part of train that the trial uses."""
        inputs, labels = self._data.train
        chosen = used(self._seed, trial.configuration, len(labels))
        return self._data if chosen is None else self._data._replace(train=(inputs[chosen], labels[chosen]))

    def epochs(self, numbers: Sequence[int]) -> dict[int, Metrics]:
        """Train the first for one more epoch."""
        one = self._running[numbers[0]]
        one.epochs_done += 1
        # Other trials of this process draw from the same generators between two epochs of this one.
        own_code.seed_all(seed_of(self._seed, one.trial)(f"epoch {one.epochs_done}"))
        given = next(one.metrics, None)
        if given is None:
            must = f"must yield metrics after each of {one.trial.epochs} epochs; it has ended"
            raise ValueError(f"{own_code.place(self._train)}: {must}")
        return {numbers[0]: given}

    def predict(self, number: int, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) by the trial's weights of now."""
        return predict(self._running[number].model, inputs)

    def digest(self, number: int) -> str:
        """The SHA-256 of the trial's weights of now."""
        return sha256(self._running[number].model.get_weights())

    def save(self, number: int, path: Path) -> None:
        """Write the trial's weights as a Keras `.weights.h5` file."""
        save_weights(self._running[number].model, path)

    def drop(self, number: int) -> None:
        """Forget the trial."""
        self._running.pop(number, None)
