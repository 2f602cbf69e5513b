"""The compiled program, on TensorFlow or JAX: behind the same protocol as plain fit, and with its results."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.training.fit import (
    Fit,
    Split,
    compile_as_configured,
    predict,
    save_weights,
    seed_of,
    sha256,
    shuffled,
)
from pipeline.training.optimizers import learning_rates
from pipeline.training.program import Builder, num_used
from pipeline.training.surroundings import backend
from pipeline.trial import Metrics, Trial

_log = logging.getLogger(__name__)


class Training(Protocol):
    """A trial's model, somewhere between its first and last epoch."""

    def epoch(self, order: NDArray[np.int64], epochs_done: int, rates: Any) -> Any:
        """Train for one epoch; sums that the backend's `metrics` makes means of.

        Args:
            rates: of each step, (num_steps,); None: the optimizer keeps its own.
        """

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of now, in the order of the model's."""

    @property
    def model(self) -> keras.Model:
        """An ordinary Keras model with the weights of now."""


@dataclass
class _Slot:
    trial: Trial
    training: Training
    # Those that it trains with in one call; None: it trains alone.
    pack: Any = None
    # Whether its optimizer is the study's; its builder's own keeps its rate.
    is_ours: bool = True
    epochs_done: int = 0


class Compiled:
    """Trains trials an epoch a call, side by side, none touching another's chance.

    Args:
        train: images (num_images, height, width, channels), uint8, 0-255, or features (num_rows,
            num_features), float32; labels (num_inputs,), int64.
        val: likewise.
        slots: how many networks of one shape train in one call; above 1 on JAX alone.
    """

    def __init__(
        self, builder: Builder, train: Split, val: Split, num_classes: int, seed: int, slots: int = 1
    ) -> None:
        self._builder = builder
        self._on = _backend()
        self._shape = train[0].shape[1:]
        self._num_train = len(train[1])
        self._num_classes = num_classes
        self._seed = seed
        self._resident = self._on.Resident.of(train, val)
        self._dense = self._on.Epochs(self._resident)
        self.slots = slots
        self._packs = self._on.Packs(self._dense, slots) if slots > 1 else None
        self._slots: dict[int, _Slot] = {}
        # For what cannot be compiled.
        self._fit = Fit(builder, train, val, num_classes, seed)

    def start(self, trial: Trial) -> None:
        """Make the trial's model from its configuration and seeds."""
        configuration, chance = trial.configuration, seed_of(self._seed, trial)
        if self._builder.is_dense(configuration):
            network = self._on.Network(
                self._dense, self._builder, configuration, self._shape, self._num_classes, chance
            )
            pack = self._packs.seat(network) if self._packs else None
            self._slots[trial.number] = _Slot(trial, network, pack)
            return
        model = self._builder.build(configuration, self._shape, self._num_classes, chance)
        is_ours = compile_as_configured(model, configuration)
        refusal = self._on.refusal(model, is_ours)
        if refusal:
            _log.warning("trial %s is trained by plain fit: %s.", trial.number, refusal)
            self._fit.start(trial, (model, is_ours))
            return
        smoothing = float(configuration.get("label_smoothing", 0.0)) if is_ours else 0.0
        batch_size, num_train = int(configuration["batch_size"]), num_used(configuration, self._num_train)
        layered = self._on.Layered(self._resident, model, batch_size, smoothing, num_train)
        self._slots[trial.number] = _Slot(trial, layered, is_ours=is_ours)

    def epochs(self, numbers: Sequence[int]) -> dict[int, Metrics]:
        """Train the first for one more epoch, and with it those of the others that one call trains."""
        first = self._slots.get(numbers[0])
        if first is None or first.pack is None:
            return {numbers[0]: self.epoch(numbers[0])}
        slots = [slot for number in numbers if (slot := self._slots.get(number)) and slot.pack is first.pack]
        sums = first.pack.epochs([(slot.training, *self._next(slot)) for slot in slots])
        return {slot.trial.number: self._ended(slot, one) for slot, one in zip(slots, sums, strict=True)}

    def epoch(self, number: int) -> Metrics:
        """Train for one more epoch; loss, accuracy, val_loss, val_accuracy after it."""
        if number not in self._slots:
            return self._fit.epoch(number)
        slot = self._slots[number]
        if slot.pack is not None:
            return self.epochs([number])[number]
        return self._ended(slot, slot.training.epoch(*self._next(slot)))

    def predict(self, number: int, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) by the trial's weights of now."""
        if number not in self._slots:
            return self._fit.predict(number, inputs)
        return predict(self._whole(number).model, inputs)

    def digest(self, number: int) -> str:
        """The SHA-256 of the trial's weights of now."""
        return sha256(self._whole(number).weights) if number in self._slots else self._fit.digest(number)

    def save(self, number: int, path: Path) -> None:
        """Write the trial's weights as a Keras `.weights.h5` file."""
        if number not in self._slots:
            self._fit.save(number, path)
            return
        save_weights(self._whole(number).model, path)

    def drop(self, number: int) -> None:
        """Forget the trial."""
        slot = self._slots.pop(number, None)
        if slot is not None and slot.pack is not None:
            slot.pack.leave(slot.training)
        self._fit.drop(number)

    def _whole(self, number: int) -> Training:
        """The trial's model, its weights at hand."""
        slot = self._slots[number]
        if slot.pack is not None:
            slot.pack.hand_back(slot.training)
        return slot.training

    def _next(self, slot: _Slot) -> tuple[NDArray[np.int64], int, Any]:
        """The order of the images in the next epoch, how many are done, its steps' rates or None."""
        trial, done = slot.trial, slot.epochs_done
        order, rates = shuffled(self._seed, trial, done + 1, self._num_train), None
        if slot.is_ours:
            num_steps = ceil(len(order) / int(trial.configuration["batch_size"]))
            rates = learning_rates(trial.configuration, done + 1, trial.epochs, num_steps)
        return order, done, rates

    def _ended(self, slot: _Slot, sums: Any) -> Metrics:
        slot.epochs_done += 1
        num_train = num_used(slot.trial.configuration, self._num_train)
        metrics: Metrics = self._on.metrics(self._resident, sums, num_train)
        return metrics


def _backend() -> ModuleType:
    """The half that is written for the framework that Keras runs on; the other framework is not imported."""
    name = "on_jax" if backend() == "jax" else "on_tensorflow"
    return importlib.import_module(f"pipeline.training.compiled.{name}")
