"""The optimizer, the loss and the learning rate that a configuration asks for."""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING

from pipeline.space import Configuration

if TYPE_CHECKING:
    import keras

LOSS = "sparse_categorical_crossentropy"


def compile_as_configured(model: keras.Model, configuration: Configuration) -> bool:
    """Give a model that has none the optimizer and the loss of the study; whether it had none.

    One that its builder has compiled keeps its own, rate and all.
    """
    import keras

    if model.compiled:
        return False
    model.compile(
        optimizer=keras.optimizers.Adam(configuration["learning_rate"]),
        loss=LOSS,
        metrics=["accuracy"],
        # TensorFlow's XLA takes longer to compile than a small model takes to train on a CPU. JAX has no
        # other way to be fast; "auto" leaves out the layers that cannot be compiled.
        jit_compile="auto" if keras.backend.backend() == "jax" else False,
    )
    return True


def learning_rate(configuration: Configuration, epoch: int, num_epochs: int) -> float:
    """The rate of one epoch, from 1 to `num_epochs`: constant, or falling from the given rate towards zero.

    Source: Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", section 3,
        equation 5 without restarts, one step an epoch: it needs no count of steps, and the last epoch trains.
    """
    rate = float(configuration["learning_rate"])
    if configuration["schedule"] == "constant":
        return rate
    return rate * (1 + cos(pi * (epoch - 1) / num_epochs)) / 2
