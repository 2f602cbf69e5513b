"""Any Keras model that ends in class probabilities: one trace a trial, around the model's own layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.training.compiled.on_tensorflow import passes
from pipeline.training.fit import LOSS

# Adam's settings that may be anything, the rate as long as it is a number.
FREE = ("name", "learning_rate")
# What an optimizer may do beside its steps, which nothing here does.
BESIDE = ("use_ema", "loss_scale_factor", "gradient_accumulation_steps")


def refusal(model: keras.Model) -> str:
    """Why the model cannot be trained here, as the end of a sentence; empty if it can."""
    if model.loss != LOSS:
        return f"its loss is {model.loss}, not {LOSS}"
    beside = [name for name in BESIDE if model.optimizer.get_config().get(name)]
    if beside:
        return f"its optimizer does more than steps: {', '.join(beside)}"
    if model.run_eagerly:
        return "it is to run eagerly"
    if type(model).train_step is not keras.Model.train_step:
        return "it has a train_step of its own"
    return ""


def _is_plain_adam(optimizer: Any) -> bool:
    """Whether the fused operation gives the optimizer's numbers."""
    if type(optimizer) is not keras.optimizers.Adam:
        return False
    given, usual = optimizer.get_config(), keras.optimizers.Adam().get_config()
    is_usual = all(value == usual[name] for name, value in given.items() if name not in FREE)
    return is_usual and isinstance(given["learning_rate"], float)


def _looks_up(model: keras.Model) -> bool:
    """Whether it has a table of vectors: of one that a batch has twice Keras squares each slope by itself."""
    return any(isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers())


class Layered:
    """A Keras model that trains for an epoch a call.

    Args:
        model: compiled with sparse cross-entropy.
    """

    def __init__(self, resident: passes.Resident, model: keras.Model, batch_size: int) -> None:
        self.model = model
        self._resident = resident
        self._batch_size = batch_size
        variables = [variable.value for variable in model.trainable_variables]
        # The fused operation takes a quarter less time than the optimizer's own.
        is_fused = _is_plain_adam(model.optimizer) and not _looks_up(model)
        self._adam = passes.fresh(variables) if is_fused else None
        self._variables = variables
        if self._adam is None:
            # Not in the call: a variable can be made in the first trace alone.
            model.optimizer.build(model.trainable_variables)
        numbers = (tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32))
        signature = (tf.TensorSpec(resident.labels.shape, tf.int64), *numbers)
        self._epoch = tf.function(self._traced, autograph=False).get_concrete_function(*signature)

    def epoch(self, order: NDArray[np.int64], epochs_done: int, learning_rate: float | None) -> passes.Sums:
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,).
            learning_rate: None: the optimizer keeps its own.
        """
        if learning_rate is None:
            learning_rate = float(self.model.optimizer.learning_rate)
        elif self._adam is None:
            self.model.optimizer.learning_rate = learning_rate
        steps_done = epochs_done * -(-len(order) // self._batch_size)
        numbers = (tf.constant(steps_done), tf.constant(learning_rate))
        sums: passes.Sums = self._epoch(tf.constant(order), *numbers)
        return sums

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of now, in the order of the model's."""
        weights: list[NDArray[Any]] = self.model.get_weights()
        return weights

    def _traced(self, order: Any, steps_done: Any, learning_rate: Any) -> passes.Sums:
        def step(pixels: Any, labels: Any, index: Any) -> passes.Judged:
            with tf.GradientTape() as tape:
                loss, hits = self._mean(pixels, labels, training=True)
            gradients = tape.gradient(loss, self._variables)
            if self._adam is not None:
                passes.update(self._adam, gradients, learning_rate, steps_done + index)
            else:
                self.model.optimizer.apply(gradients, self.model.trainable_variables)
            return loss * tf.cast(tf.size(labels), tf.float32), hits

        def judge(pixels: Any, labels: Any) -> passes.Judged:
            loss, hits = self._mean(pixels, labels, training=False)
            return loss * tf.cast(tf.size(labels), tf.float32), hits

        batch_size = tf.constant(self._batch_size)
        trained = passes.train(self._resident, order, batch_size, step)
        return (*trained, *passes.validate(self._resident, judge))

    def _mean(self, pixels: Any, labels: Any, training: bool) -> passes.Judged:
        """The loss that Keras' fit minimizes, and how many images are right."""
        probabilities = self.model(pixels, training=training)
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        # Beside the cross-entropy: what layers add of their own, as regularizers do.
        loss = tf.add_n([tf.reduce_mean(losses), *self.model.losses])
        return loss, passes.right(probabilities, labels)
