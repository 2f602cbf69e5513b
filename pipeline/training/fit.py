"""Plain Keras: one `model.fit` an epoch, as any tutorial does it, with every draw seeded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import seeds
from pipeline.space import Configuration
from pipeline.training import evaluation, framework
from pipeline.training.lean import keras
from pipeline.training.optimizers import PER_STEP, Optimizer, learning_rate, one_cycle
from pipeline.training.program import Builder, Model, SeedOf, Shape, num_used, used
from pipeline.training.surroundings import THREADS
from pipeline.trial import Metrics, Trial

Split = tuple[NDArray[Any], NDArray[np.int64]]

# The batch size of validation moves no weight; larger is faster.
VAL_BATCH_SIZE = 1_000


@dataclass
class _Fitted:
    """A trial's model; whether its optimizer is the study's and not its builder's own."""

    trial: Trial
    model: keras.Model
    is_ours: bool
    epochs_done: int = 0


class Fit:
    """Trains trials with `model.fit`, side by side, none touching another's chance.

    Args:
        train: images (num_images, height, width, channels), uint8, 0-255, or features (num_rows,
            num_features), float32; labels (num_inputs,), int64.
        val: likewise.
    """

    def __init__(self, builder: Builder, train: Split, val: Split, num_classes: int, seed: int) -> None:
        self._builder = builder
        self._train = train
        self._val = val
        self._num_classes = num_classes
        self._seed = seed
        self._models: dict[int, _Fitted] = {}
        # How many trials one call trains.
        self.slots = 1

    def start(self, trial: Trial, made: tuple[keras.Model, bool] | None = None) -> None:
        """Make the trial's model from its configuration and seeds.

        Args:
            made: the model, where it is made already, and whether its optimizer is the study's.
        """
        if made is None:
            shape, chance = self._train[0].shape[1:], seed_of(self._seed, trial)
            model = self._builder.build(trial.configuration, shape, self._num_classes, chance)
            made = model, compile_as_configured(model, trial.configuration)
        model, is_ours = made
        if is_ours and trial.configuration["schedule"] == PER_STEP:
            num_train = num_used(trial.configuration, len(self._train[1]))
            num_steps = ceil(num_train / int(trial.configuration["batch_size"]))
            model.optimizer.learning_rate = one_cycle(trial.configuration, trial.epochs, num_steps)
        self._models[trial.number] = _Fitted(trial, model, is_ours)

    def epochs(self, numbers: Sequence[int]) -> dict[int, Metrics]:
        """Train the first for one more epoch."""
        return {numbers[0]: self.epoch(numbers[0])}

    def epoch(self, number: int) -> Metrics:
        """Train for one more epoch; loss, accuracy, val_loss, val_accuracy after it."""
        one = self._models[number]
        trial, done = one.trial, one.epochs_done
        if one.is_ours and trial.configuration["schedule"] not in ("constant", PER_STEP):
            one.model.optimizer.learning_rate = learning_rate(trial.configuration, done + 1, trial.epochs)
        # fit's own shuffling draws from a generator that all models of the process share.
        images, labels = self._train
        order = shuffled(self._seed, trial, done + 1, len(labels))
        history = one.model.fit(
            images[order],
            labels[order],
            batch_size=int(trial.configuration["batch_size"]),
            validation_data=self._val,
            validation_batch_size=VAL_BATCH_SIZE,
            initial_epoch=done,
            epochs=done + 1,
            shuffle=False,
            verbose=0,
        ).history
        one.epochs_done += 1
        # Only what is trained on is smoothed: on val the loss is what it is in every other study.
        history["val_loss"] = history.pop(f"val_{PLAIN}", history["val_loss"])
        history.pop(PLAIN, None)
        return {name: float(values[-1]) for name, values in history.items()}

    def predict(self, number: int, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) by the trial's weights of now."""
        return predict(self._models[number].model, inputs)

    def digest(self, number: int) -> str:
        """The SHA-256 of the trial's weights of now."""
        return sha256(self._models[number].model.get_weights())

    def save(self, number: int, path: Path) -> None:
        """Write the trial's weights as a Keras `.weights.h5` file."""
        save_weights(self._models[number].model, path)

    def drop(self, number: int) -> None:
        """Forget the trial."""
        self._models.pop(number, None)


def predict(model: keras.Model, inputs: NDArray[Any]) -> NDArray[np.float64]:
    """Class probabilities (num_inputs, num_classes) of raw inputs (num_inputs, ...)."""
    probabilities = model.predict(inputs, batch_size=VAL_BATCH_SIZE, verbose=0)
    return np.asarray(probabilities, dtype=np.float64)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write a model's weights as a Keras `.weights.h5` file: the same weights, the same bytes."""
    if getattr(model, "inputs", None):
        # A view without an optimizer: its state would triple the file and be of no use to anyone. Without a
        # name of its own it would be called after how many models its process has made.
        model = keras.Model(model.inputs, model.outputs, name="model")
    model.save_weights(path)


def sha256(weights: Sequence[NDArray[Any]]) -> str:
    """One digest of all weights, in their order; types and shapes count too."""
    found = hashlib.sha256()
    for array in weights:
        found.update(f"{array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


@dataclass(frozen=True)
class KerasModel:
    """A trained Keras model, from raw inputs to class probabilities."""

    native: keras.Model
    flavour = "keras"

    def predict(self, inputs: NDArray[Any]) -> NDArray[np.float64]:
        """Class probabilities (num_inputs, num_classes) of raw inputs (num_inputs, ...)."""
        return predict(self.native, inputs)

    def described(self) -> str:
        """Its layers and their settings, as JSON text."""
        return str(self.native.to_json(indent=2, sort_keys=True))


def restore(
    builder: Builder,
    configuration: Configuration,
    shape: Shape,
    num_classes: int,
    weights_path: Path,
    weights_sha256: str = "",
) -> Model:
    """The configuration's model with the weights of a `.weights.h5` file.

    Raises:
        StoreError: see `evaluation.restored`.
    """
    # As in the processes that train.
    framework.set_up(THREADS)
    model = builder.build(configuration, shape, num_classes, lambda _: 1)

    def load() -> tuple[Model, str]:
        keras.Model(model.inputs, model.outputs).load_weights(weights_path)
        return KerasModel(model), sha256(model.get_weights())

    return evaluation.restored(load, weights_path, weights_sha256)


def seed_of(study_seed: int, trial: Trial) -> SeedOf:
    """A name to a seed, for one trial."""
    return lambda name: seeds.stream(study_seed, *trial.seed_path, name)


def shuffled(study_seed: int, trial: Trial, epoch: int, num_images: int) -> NDArray[np.int64]:
    """The order of the training images in one epoch of one trial, (num_used,): each that it uses once."""
    chosen = used(study_seed, trial.configuration, num_images)
    num_used = num_images if chosen is None else len(chosen)
    order = seeds.generator(study_seed, *trial.seed_path, "order", epoch).permutation(num_used)
    return order if chosen is None else chosen[order]


LOSS = "sparse_categorical_crossentropy"
# What fit reports beside a loss of smoothed labels.
PLAIN = "cross_entropy"


def cross_entropy(labels: Any, probabilities: Any, smoothing: float) -> Any:
    """The cross-entropy of each input, (batch,), of labels that have a share spread over all classes.

    Source: Szegedy et al. (2016), "Rethinking the Inception Architecture for Computer Vision", section 7.
    """
    if not smoothing:
        return keras.losses.sparse_categorical_crossentropy(labels, probabilities)
    # Fit on JAX makes floats of them.
    flat = keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32")
    one_hot = keras.ops.one_hot(flat, probabilities.shape[-1])
    return keras.losses.categorical_crossentropy(one_hot, probabilities, label_smoothing=smoothing)


def compile_as_configured(model: keras.Model, configuration: Configuration) -> bool:
    """Give a model that has none the optimizer and the loss of the study; whether it had none.

    One that its builder has compiled keeps its own, rate and all.
    """
    if model.compiled:
        return False
    smoothing = float(configuration.get("label_smoothing", 0.0))
    plain = [keras.metrics.SparseCategoricalCrossentropy(name=PLAIN)] if smoothing else []
    model.compile(
        optimizer=Optimizer.of(configuration).made(float(configuration["learning_rate"])),
        loss=partial(cross_entropy, smoothing=smoothing) if smoothing else LOSS,
        metrics=["accuracy", *plain],
        # TensorFlow's XLA takes longer to compile than a small model takes to train on a CPU. JAX has no
        # other way to be fast; "auto" leaves out the layers that cannot be compiled.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    return True
