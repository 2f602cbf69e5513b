"""A configuration to a Keras model that takes raw pixels, and to the price of one of its epochs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from math import ceil, cos, pi, prod
from typing import TYPE_CHECKING, Any

from pipeline.space import Configuration

if TYPE_CHECKING:
    import keras

Shape = tuple[int, int, int]
SeedOf = Callable[[str], int]

# What one step costs beside its arithmetic, in multiply-adds: starting the operations takes about as long.
STEP_OVERHEAD = 4_000_000


def build(configuration: Configuration, shape: Shape, num_classes: int, seed_of: SeedOf) -> keras.Model:
    """A compiled model from raw pixels to class probabilities.

    Args:
        configuration: a value for every hyperparameter.
        shape: (height, width, channels) of an image, uint8, 0-255; scaled to 0-1 inside the model.
        num_classes: how many labels there are.
        seed_of: a name to a seed; every layer that draws has a name of its own.

    Source: the MLP with its defaults is the network of TensorFlow's beginner tutorial
        ("TensorFlow 2 quickstart for beginners": Flatten, Dense 128 relu, Dense 10, adam).
    """
    import keras

    layers = keras.layers
    inputs = keras.Input(shape, dtype="uint8", name="pixels")
    hidden = layers.Rescaling(1 / 255, name="scaled")(inputs)
    for layer in _augmentation(configuration, seed_of):
        hidden = layer(hidden)
    for layer in MODELS[str(configuration["model"])](configuration, seed_of):
        hidden = layer(hidden)
    outputs = layers.Dense(
        num_classes,
        activation="softmax",
        name="probabilities",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of("probabilities")),
    )(hidden)
    model = keras.Model(inputs, outputs, name=str(configuration["model"]))
    model.compile(
        optimizer=keras.optimizers.Adam(configuration["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        # TensorFlow's XLA takes longer to compile than a small model takes to train on a CPU. JAX has no
        # other way to be fast; "auto" leaves out the layers that cannot be compiled.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    return model


def _augmentation(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    import keras

    rotation, zoom = float(configuration["rotation"]), float(configuration["zoom"])
    if rotation:
        yield keras.layers.RandomRotation(
            rotation, fill_mode="constant", seed=seed_of("rotation"), name="rotation"
        )
    if zoom:
        yield keras.layers.RandomZoom(zoom, fill_mode="constant", seed=seed_of("zoom"), name="zoom")


def _mlp(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    import keras

    yield keras.layers.Flatten(name="flat")
    for index in range(int(configuration["hidden_layers"])):
        yield from _hidden(configuration, seed_of, index)


def _cnn(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    import keras

    filters = int(configuration["filters"])
    for index in range(2):
        name = f"convolution_{index}"
        yield keras.layers.Conv2D(
            filters * (index + 1),
            3,
            padding="same",
            activation=configuration["activation"],
            name=name,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
        )
        yield keras.layers.MaxPooling2D(name=f"pooling_{index}")
    yield from _mlp(configuration, seed_of)


def _hidden(configuration: Configuration, seed_of: SeedOf, index: int) -> Iterator[Any]:
    import keras

    name = f"hidden_{index}"
    yield keras.layers.Dense(
        int(configuration["hidden_units"]),
        activation=configuration["activation"],
        name=name,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
    )
    if configuration["dropout"]:
        dropout = f"dropout_{index}"
        yield keras.layers.Dropout(float(configuration["dropout"]), seed=seed_of(dropout), name=dropout)


MODELS: dict[str, Callable[[Configuration, SeedOf], Iterator[Any]]] = {"mlp": _mlp, "cnn": _cnn}


def learning_rate(configuration: Configuration, epoch: int, num_epochs: int) -> float:
    """The rate of one epoch, from 1 to `num_epochs`: constant, or falling from the given rate towards zero.

    Source: Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", section 3,
        equation 5 without restarts, one step an epoch: it needs no count of steps, and the last epoch trains.
    """
    rate = float(configuration["learning_rate"])
    if configuration["schedule"] == "constant":
        return rate
    return rate * (1 + cos(pi * (epoch - 1) / num_epochs)) / 2


def price(configuration: Configuration, shape: Shape, num_classes: int, num_train: int, num_val: int) -> int:
    """What one epoch costs, in multiply-adds: a pure function of the configuration and the data's size.

    It need not be exact, only the same everywhere: it orders the epochs of trials in flight.
    """
    image = _multiply_adds(configuration, shape, num_classes)
    steps = ceil(num_train / int(configuration["batch_size"]))
    return (3 * num_train + num_val) * image + steps * STEP_OVERHEAD


def _multiply_adds(configuration: Configuration, shape: Shape, num_classes: int) -> int:
    height, width, channels = shape
    total = 0
    if configuration["rotation"] or configuration["zoom"]:
        total += 100 * prod(shape)
    if configuration["model"] == "cnn":
        for index in range(2):
            filters = int(configuration["filters"]) * (index + 1)
            total += height * width * 9 * channels * filters
            height, width, channels = height // 2, width // 2, filters
    units = [int(configuration["hidden_units"])] * int(configuration["hidden_layers"])
    widths = [height * width * channels, *units, num_classes]
    return total + sum(a * b for a, b in itertools.pairwise(widths))
