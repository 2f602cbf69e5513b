"""The compiled program on JAX: behind the same protocol as plain fit, and with its results."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jax.numpy as jnp
import keras

from pipeline import models
from pipeline.training.compiled_jax import dense, layered, sweep
from pipeline.training.fit import Fit, seed_of, shuffled
from pipeline.trial import Metrics, Trial

_log = logging.getLogger(__name__)


class _Training(Protocol):
    """A trial's model, somewhere between its first and last epoch."""

    def epoch(self, order: Any, epochs_done: int, learning_rate: float) -> sweep.Sums:
        """Train for one epoch."""

    @property
    def model(self) -> keras.Model:
        """An ordinary Keras model with the weights of now."""


@dataclass
class _Slot:
    trial: Trial
    training: _Training
    epochs_done: int = 0


class Compiled:
    """Trains trials an epoch a call, side by side, none touching another's chance.

    Args:
        train: images (num_images, height, width, channels), uint8, 0-255; labels (num_images,), int64.
        val: likewise.
    """

    def __init__(self, train: sweep.Split, val: sweep.Split, num_classes: int, seed: int) -> None:
        self._num_classes = num_classes
        self._seed = seed
        self._resident = sweep.Resident.of(train, val)
        self._dense = dense.Epochs(self._resident)
        self._slots: dict[int, _Slot] = {}
        # For what cannot be compiled.
        self._fit = Fit(train, val, num_classes, seed)

    def start(self, trial: Trial) -> None:
        """Make the trial's model from its configuration and seeds."""
        configuration, chance, shape = trial.configuration, seed_of(self._seed, trial), self._resident.shape
        if dense.serves(configuration):
            network = dense.Network(self._dense, configuration, shape, self._num_classes, chance)
            self._slots[trial.number] = _Slot(trial, network)
            return
        model = models.build(configuration, shape, self._num_classes, chance)
        refusal = layered.refusal(model)
        if refusal:
            _log.warning("trial %s is trained by plain fit: %s.", trial.number, refusal)
            self._fit.start(trial)
            return
        batch_size = int(configuration["batch_size"])
        self._slots[trial.number] = _Slot(trial, layered.Layered(self._resident, model, batch_size))

    def epoch(self, number: int) -> Metrics:
        """Train for one more epoch; loss, accuracy, val_loss, val_accuracy after it."""
        if number not in self._slots:
            return self._fit.epoch(number)
        slot = self._slots[number]
        order = shuffled(self._seed, slot.trial, slot.epochs_done + 1, len(self._resident.labels))
        rate = models.learning_rate(slot.trial.configuration, slot.epochs_done + 1, slot.trial.epochs)
        sums = slot.training.epoch(jnp.asarray(order, jnp.int32), slot.epochs_done, rate)
        slot.epochs_done += 1
        return sweep.metrics(self._resident, sums)

    def save(self, number: int, path: Path) -> None:
        """Write the trial's weights as a Keras `.weights.h5` file."""
        if number not in self._slots:
            self._fit.save(number, path)
            return
        model = self._slots[number].training.model
        # A view without an optimizer: its state would triple the file and be of no use to anyone.
        keras.Model(model.inputs, model.outputs).save_weights(path)

    def drop(self, number: int) -> None:
        """Forget the trial."""
        self._slots.pop(number, None)
        self._fit.drop(number)
