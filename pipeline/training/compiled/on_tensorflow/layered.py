"""Any Keras model that ends in class probabilities: one trace a trial, around the model's own layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.training.compiled.on_tensorflow import passes, updates
from pipeline.training.fit import LOSS, cross_entropy
from pipeline.training.optimizers import Optimizer

# What an optimizer may do beside its steps, which nothing here does.
BESIDE = ("use_ema", "loss_scale_factor", "gradient_accumulation_steps")


def refusal(model: keras.Model, is_ours: bool = False) -> str:
    """Why the model cannot be trained here, as the end of a sentence; empty if it can.

    Args:
        is_ours: its optimizer and loss are the study's.
    """
    if not is_ours and model.loss != LOSS:
        return f"its loss is {model.loss}, not {LOSS}"
    beside = [name for name in BESIDE if model.optimizer.get_config().get(name)]
    if beside:
        return f"its optimizer does more than steps: {', '.join(beside)}"
    if model.run_eagerly:
        return "it is to run eagerly"
    if type(model).train_step is not keras.Model.train_step:
        return "it has a train_step of its own"
    return ""


def _looks_up(model: keras.Model) -> bool:
    """Whether it has a table of vectors: of one that a batch has twice Keras squares each slope by itself."""
    return any(isinstance(layer, keras.layers.Embedding) for layer in model._flatten_layers())


class Layered:
    """A Keras model that trains for an epoch a call.

    Args:
        model: compiled with sparse cross-entropy.
        smoothing: the share of each label that is spread over all classes in training.
        num_train: how many of the training images an epoch has; None: all.
    """

    def __init__(
        self,
        resident: passes.Resident,
        model: keras.Model,
        batch_size: int,
        smoothing: float = 0.0,
        num_train: int | None = None,
    ) -> None:
        self.model = model
        self._resident = resident
        self._batch_size = batch_size
        self._smoothing = smoothing
        self._variables = [variable.value for variable in model.trainable_variables]
        # The fused operations take a quarter less time than the optimizer's own.
        self._optimizer = None if _looks_up(model) else Optimizer.known(model.optimizer)
        if self._optimizer is not None:
            self._trained = updates.fresh(self._variables, self._optimizer.rule)
        else:
            # Not in the call: a variable can be made in the first trace alone.
            model.optimizer.build(model.trainable_variables)
        sizes = resident.labels.shape if num_train is None else (num_train,)
        specs = (
            tf.TensorSpec(sizes, tf.int64),
            tf.TensorSpec((), tf.int32),
            tf.TensorSpec(sizes, tf.float32),
        )
        self._epoch = tf.function(self._traced, autograph=False).get_concrete_function(*specs)

    def epoch(
        self, order: NDArray[np.int64], epochs_done: int, rates: NDArray[np.float32] | None
    ) -> passes.Sums:
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,).
            rates: of each step, (num_steps,); None: the optimizer keeps its own.
        """
        num_steps = -(-len(order) // self._batch_size)
        if rates is None:
            rates = np.full(num_steps, float(self.model.optimizer.learning_rate), np.float32)
        steps_done, padded = tf.constant(epochs_done * num_steps), updates.rates(rates, len(order))
        sums: passes.Sums = self._epoch(tf.constant(order), steps_done, padded)
        return sums

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of now, in the order of the model's."""
        weights: list[NDArray[Any]] = self.model.get_weights()
        return weights

    def _traced(self, order: Any, steps_done: Any, rates: Any) -> passes.Sums:
        def step(pixels: Any, labels: Any, index: Any) -> passes.Judged:
            with tf.GradientTape() as tape:
                loss, hits = self._mean(pixels, labels, training=True)
            gradients = tape.gradient(loss, self._variables)
            if self._optimizer is None:
                self.model.optimizer.apply(gradients, self.model.trainable_variables)
            else:
                own, rate = updates.numbers(self._optimizer), updates.rate(rates, index)
                rule = self._optimizer.rule
                updates.update(self._trained, gradients, rule, steps_done + index, rate, own)
                for variable in self.model.trainable_variables:
                    if variable.constraint is not None:
                        variable.assign(variable.constraint(variable))
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
        losses = cross_entropy(labels, probabilities, self._smoothing if training else 0.0)
        # Beside the cross-entropy: what layers add of their own, as regularizers do.
        added = self.model.losses if training or not self._smoothing else []
        loss = tf.add_n([tf.reduce_mean(losses), *added])
        return loss, passes.right(probabilities, labels)
