"""Any Keras model that ends in class probabilities: one trace a trial, around the model's own layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.training.compiled.on_tensorflow import adam, sweep

# Adam's settings that may be anything, the rate as long as it is a number.
FREE = ("name", "learning_rate")
LOSS = "sparse_categorical_crossentropy"


def refusal(model: keras.Model) -> str:
    """Why the model cannot be trained here, as the end of a sentence; empty if it can."""
    if type(model.optimizer) is not keras.optimizers.Adam:
        return f"its optimizer is {type(model.optimizer).__name__}, not Adam"
    given, usual = model.optimizer.get_config(), keras.optimizers.Adam().get_config()
    changed = [name for name, value in given.items() if value != usual[name] and name not in FREE]
    if not isinstance(given["learning_rate"], float):
        changed.append("learning_rate")
    if changed:
        return f"its Adam has settings of its own: {', '.join(changed)}"
    if model.loss != LOSS:
        return f"its loss is {model.loss}, not {LOSS}"
    return ""


class Layered:
    """A Keras model that trains for an epoch a call.

    Args:
        model: compiled with plain Adam and sparse cross-entropy.
    """

    def __init__(self, resident: sweep.Resident, model: keras.Model, batch_size: int) -> None:
        self.model = model
        self._resident = resident
        self._batch_size = batch_size
        self._trained = adam.fresh([variable.value for variable in model.trainable_variables])
        numbers = (tf.TensorSpec((), tf.int32), tf.TensorSpec((), tf.float32))
        signature = (tf.TensorSpec(resident.labels.shape, tf.int64), *numbers)
        self._epoch = tf.function(self._traced, autograph=False).get_concrete_function(*signature)

    def epoch(self, order: NDArray[np.int64], epochs_done: int, learning_rate: float) -> sweep.Sums:
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,).
        """
        steps_done = epochs_done * -(-len(order) // self._batch_size)
        numbers = (tf.constant(steps_done), tf.constant(learning_rate))
        sums: sweep.Sums = self._epoch(tf.constant(order), *numbers)
        return sums

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of now, in the order of the model's."""
        weights: list[NDArray[Any]] = self.model.get_weights()
        return weights

    def _traced(self, order: Any, steps_done: Any, learning_rate: Any) -> sweep.Sums:
        def step(pixels: Any, labels: Any, index: Any) -> sweep.Judged:
            with tf.GradientTape() as tape:
                loss, hits = self._mean(pixels, labels, training=True)
            gradients = tape.gradient(loss, self._trained.variables)
            adam.update(self._trained, gradients, learning_rate, steps_done + index)
            return loss * tf.cast(tf.size(labels), tf.float32), hits

        def judge(pixels: Any, labels: Any) -> sweep.Judged:
            loss, hits = self._mean(pixels, labels, training=False)
            return loss * tf.cast(tf.size(labels), tf.float32), hits

        batch_size = tf.constant(self._batch_size)
        trained = sweep.train(self._resident, order, batch_size, step)
        return (*trained, *sweep.validate(self._resident, judge))

    def _mean(self, pixels: Any, labels: Any, training: bool) -> sweep.Judged:
        """The loss that Keras' fit minimizes, and how many images are right."""
        probabilities = self.model(pixels, training=training)
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        # Beside the cross-entropy: what layers add of their own, as regularizers do.
        loss = tf.add_n([tf.reduce_mean(losses), *self.model.losses])
        return loss, sweep.right(probabilities, labels)
