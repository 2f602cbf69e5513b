"""Networks of dense layers: one trace for all widths, batch sizes, rates and seeds."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.space import Configuration
from pipeline.training.compiled.on_tensorflow import passes
from pipeline.training.program import Builder, SeedOf, Shape

ACTIVATIONS = {"relu": tf.nn.relu, "sigmoid": tf.nn.sigmoid, "tanh": tf.nn.tanh}


class Epochs:
    """Epochs of networks, one trace for each depth, activation and use of dropout."""

    def __init__(self, resident: passes.Resident) -> None:
        self._resident = resident
        self._functions: dict[tuple[str, bool], Any] = {}

    def function(self, activation: str, has_dropout: bool) -> Any:
        """`_epoch` with its first three arguments; depths share it, each with a trace of its own."""
        key = (activation, has_dropout)
        if key not in self._functions:
            self._functions[key] = tf.function(partial(_epoch, self._resident, *key), autograph=False)
        return self._functions[key]


class Network:
    """A network that trains for an epoch a call, and begins as its builder's model begins."""

    def __init__(
        self,
        epochs: Epochs,
        builder: Builder,
        configuration: Configuration,
        shape: Shape,
        num_classes: int,
        seed_of: SeedOf,
    ) -> None:
        self._builder = builder
        self._configuration, self._shape, self._num_classes = configuration, shape, num_classes
        depth = int(configuration["hidden_layers"])
        widths = [prod(shape), *[int(configuration["hidden_units"])] * depth, num_classes]
        names = [*(f"hidden_{index}" for index in range(depth)), "probabilities"]
        self._trained = passes.fresh(_initial(names, widths, seed_of))
        self._batch_size = int(configuration["batch_size"])
        dropout = float(configuration["dropout"])
        self._numbers = (
            tf.constant(self._batch_size),
            tf.constant(dropout),
            tf.constant([seed_of(f"dropout_{index}") for index in range(depth)], tf.int32),
        )
        self._epoch = epochs.function(str(configuration["activation"]), dropout > 0)

    def epoch(self, order: NDArray[np.int64], epochs_done: int, learning_rate: float) -> passes.Sums:
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,).
        """
        steps_done = tf.constant(epochs_done * -(-len(order) // self._batch_size))
        trained = self._trained
        state = (trained.variables, trained.momentums, trained.velocities)
        rate = tf.constant(learning_rate)
        sums: passes.Sums = self._epoch(*state, tf.constant(order), steps_done, rate, *self._numbers)
        return sums

    @property
    def weights(self) -> list[NDArray[np.float32]]:
        """The weights of now, in the order of the model's."""
        return [variable.numpy() for variable in self._trained.variables]

    @property
    def model(self) -> keras.Model:
        """The Keras model with the weights of now."""
        model = self._builder.build(self._configuration, self._shape, self._num_classes, lambda _: 1)
        model.set_weights(self.weights)
        return model


def _initial(names: list[str], widths: list[int], seed_of: SeedOf) -> list[Any]:
    """Kernel and bias of each layer, drawn as Keras draws them."""
    variables = []
    for name, shape in zip(names, pairwise(widths), strict=True):
        kernel = keras.initializers.GlorotUniform(seed=seed_of(name))(shape)
        # Of no fixed shape, so that one trace serves every width.
        variables += [tf.Variable(kernel, shape=(None, None)), tf.Variable(tf.zeros(shape[1]), shape=(None,))]
    return variables


def _epoch(
    resident: passes.Resident,
    activation: str,
    has_dropout: bool,
    variables: Any,
    momentums: Any,
    velocities: Any,
    order: Any,
    steps_done: Any,
    learning_rate: Any,
    batch_size: Any,
    dropout: Any,
    dropout_seeds: Any,
) -> passes.Sums:
    trained = passes.Trained(variables, momentums, velocities)

    def step(pixels: Any, labels: Any, index: Any) -> passes.Judged:
        count = steps_done + index

        def dropped(hidden: Any, layer: int) -> Any:
            seed = tf.stack([dropout_seeds[layer], count])
            return tf.nn.experimental.stateless_dropout(hidden, rate=dropout, seed=seed)

        with tf.GradientTape() as tape:
            logits = _logits(variables, activation, pixels, dropped if has_dropout else None)
        losses, slopes = _entropies(logits, labels)
        slopes /= tf.cast(tf.size(labels), tf.float32)
        gradients = tape.gradient(logits, variables, output_gradients=slopes)
        passes.update(trained, gradients, learning_rate, count)
        return tf.reduce_sum(losses), passes.right(logits, labels)

    def judge(pixels: Any, labels: Any) -> passes.Judged:
        logits = _logits(variables, activation, pixels, None)
        # Softmax can make equals of two logits: what is recorded is what the saved model's answers give.
        return tf.reduce_sum(_entropies(logits, labels)[0]), passes.right(tf.nn.softmax(logits), labels)

    return (*passes.train(resident, order, batch_size, step), *passes.validate(resident, judge))


def _logits(variables: Any, activation: str, pixels: Any, dropped: Any) -> Any:
    hidden = tf.cast(tf.reshape(pixels, (-1, pixels.shape[1:].num_elements())), tf.float32)
    hidden = hidden * (1 / 255) if pixels.dtype == tf.uint8 else hidden
    *inner, (kernel, bias) = zip(variables[::2], variables[1::2], strict=True)
    for layer, (inner_kernel, inner_bias) in enumerate(inner):
        hidden = ACTIVATIONS[activation](tf.nn.bias_add(tf.matmul(hidden, inner_kernel), inner_bias))
        hidden = dropped(hidden, layer) if dropped else hidden
    return tf.nn.bias_add(tf.matmul(hidden, kernel), bias)


def _entropies(logits: Any, labels: Any) -> Any:
    """The cross-entropy of each image, (batch,), and its slopes by the logits, (batch, num_classes)."""
    return tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels)
