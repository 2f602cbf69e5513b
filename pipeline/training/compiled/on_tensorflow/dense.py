"""Networks of dense layers: one trace for all widths, batch sizes, rates and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.space import Configuration
from pipeline.training.compiled.on_tensorflow import passes, updates
from pipeline.training.optimizers import Optimizer, Rule
from pipeline.training.program import Builder, SeedOf, Shape

ACTIVATIONS: Mapping[str, Any] = {
    "relu": tf.nn.relu,
    "sigmoid": tf.nn.sigmoid,
    "tanh": tf.nn.tanh,
    "gelu": partial(tf.nn.gelu, approximate=False),
    "swish": tf.nn.silu,
}


class Kind(NamedTuple):
    """What an epoch is traced for; depths share it, each with a trace of its own."""

    activation: str
    has_dropout: bool
    has_smoothing: bool
    rule: Rule


class Epochs:
    """Epochs of networks, one trace for each depth and kind."""

    def __init__(self, resident: passes.Resident) -> None:
        self.resident = resident
        self._functions: dict[Kind, Any] = {}

    def function(self, kind: Kind) -> Any:
        """`_epoch` with its first two arguments."""
        if kind not in self._functions:
            self._functions[kind] = tf.function(partial(_epoch, self.resident, kind), autograph=False)
        return self._functions[kind]


class Network:
    """A network that trains for an epoch a call, and begins as its builder's model begins.

    Attributes:
        kind: what its epoch is traced for.
    """

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
        optimizer = Optimizer.of(configuration)
        self._trained = updates.fresh(_initial(names, widths, seed_of), optimizer.rule)
        self._batch_size = int(configuration["batch_size"])
        dropout = float(configuration["dropout"])
        smoothing = float(configuration.get("label_smoothing", 0.0))
        self._numbers = {
            "batch_size": tf.constant(self._batch_size),
            "dropout": tf.constant(dropout),
            "seeds": tf.constant([seed_of(f"dropout_{index}") for index in range(depth)], tf.int32),
            "smoothing": tf.constant(smoothing),
            **updates.numbers(optimizer),
        }
        self.kind = Kind(str(configuration["activation"]), dropout > 0, smoothing > 0, optimizer.rule)
        self._epoch = epochs.function(self.kind)

    def epoch(self, order: NDArray[np.int64], epochs_done: int, rates: NDArray[np.float32]) -> passes.Sums:
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,).
            rates: of each step, (num_steps,).
        """
        steps_done = tf.constant(epochs_done * len(rates))
        trained, padded = self._trained, updates.rates(rates, len(order))
        state = (trained.variables, trained.slots)
        sums: passes.Sums = self._epoch(*state, tf.constant(order), steps_done, padded, self._numbers)
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
    kind: Kind,
    variables: Any,
    slots: Any,
    order: Any,
    steps_done: Any,
    rates: Any,
    numbers: Any,
) -> passes.Sums:
    trained = updates.Trained(variables, slots)

    def step(pixels: Any, labels: Any, index: Any) -> passes.Judged:
        count = steps_done + index

        def dropped(hidden: Any, layer: int) -> Any:
            seed = tf.stack([numbers["seeds"][layer], count])
            return tf.nn.experimental.stateless_dropout(hidden, rate=numbers["dropout"], seed=seed)

        with tf.GradientTape() as tape:
            logits = _logits(variables, kind.activation, pixels, dropped if kind.has_dropout else None)
        smoothing = numbers["smoothing"] if kind.has_smoothing else None
        losses, slopes = _entropies(logits, labels, smoothing)
        slopes /= tf.cast(tf.size(labels), tf.float32)
        gradients = tape.gradient(logits, variables, output_gradients=slopes)
        updates.update(trained, gradients, kind.rule, count, updates.rate(rates, index), numbers)
        return tf.reduce_sum(losses), passes.right(logits, labels)

    def judge(pixels: Any, labels: Any) -> passes.Judged:
        logits = _logits(variables, kind.activation, pixels, None)
        # Softmax can make equals of two logits: what is recorded is what the saved model's answers give.
        return tf.reduce_sum(_entropies(logits, labels, None)[0]), passes.right(tf.nn.softmax(logits), labels)

    return (*passes.train(resident, order, numbers["batch_size"], step), *passes.validate(resident, judge))


def _logits(variables: Any, activation: str, pixels: Any, dropped: Any) -> Any:
    hidden = tf.cast(tf.reshape(pixels, (-1, pixels.shape[1:].num_elements())), tf.float32) * (1 / 255)
    *inner, (kernel, bias) = zip(variables[::2], variables[1::2], strict=True)
    for layer, (inner_kernel, inner_bias) in enumerate(inner):
        hidden = ACTIVATIONS[activation](tf.nn.bias_add(tf.matmul(hidden, inner_kernel), inner_bias))
        hidden = dropped(hidden, layer) if dropped else hidden
    return tf.nn.bias_add(tf.matmul(hidden, kernel), bias)


def _entropies(logits: Any, labels: Any, smoothing: Any) -> Any:
    """The cross-entropy of each image, (batch,), and its slopes by the logits, (batch, num_classes)."""
    if smoothing is not None:
        num_classes = logits.shape[1] or tf.shape(logits)[1]
        each = smoothing / tf.cast(num_classes, tf.float32)
        smoothed = tf.one_hot(labels, num_classes, 1 - smoothing + each, each)
        return tf.raw_ops.SoftmaxCrossEntropyWithLogits(features=logits, labels=smoothed)
    return tf.raw_ops.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels)
