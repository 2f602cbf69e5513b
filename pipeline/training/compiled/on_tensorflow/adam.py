"""Adam as one fused operation a variable, with the numbers of Keras' Adam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
import tensorflow as tf

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7
# The operation takes 1 - 0.999 in float32, and Keras 0.001, so second moments are smaller here by a factor of
# 1 - 1.3e-5. Rate and epsilon are lowered as the roots of the moments are: then the steps are equal.
_ROOT = sqrt(float(np.float32(1) - np.float32(BETA_2)) / (1 - BETA_2))


@dataclass(frozen=True)
class Trained:
    """Variables and their first and second moments, float32, in one order."""

    variables: Sequence[Any]
    momentums: Sequence[Any]
    velocities: Sequence[Any]


def fresh(variables: Sequence[Any]) -> Trained:
    """Variables that no step has touched yet: all moments are zero."""
    momentums, velocities = ([_zeros(variable) for variable in variables] for _ in range(2))
    return Trained(variables, momentums, velocities)


def _zeros(variable: Any) -> Any:
    return tf.Variable(tf.zeros_like(variable), shape=variable.shape, trainable=False)


def update(trained: Trained, gradients: Sequence[Any], learning_rate: Any, step: Any) -> None:
    """One step of Adam.

    Args:
        gradients: one for each variable, of its shape, float32.
        learning_rate: scalar, float32.
        step: how many steps were made before, scalar, an integer.

    Source: Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", section 2, last paragraph:
        the form whose bias corrections are part of the rate, as in Keras.
    """
    # The operation takes its numbers from the processor, wherever the variables are.
    with tf.device("CPU:0"):
        count = tf.cast(step + 1, tf.float32)
        powers = {"beta1_power": tf.pow(BETA_1, count), "beta2_power": tf.pow(BETA_2, count)}
        numbers = powers | {"lr": learning_rate * _ROOT, "epsilon": EPSILON * _ROOT}
    rows = zip(trained.variables, trained.momentums, trained.velocities, gradients, strict=True)
    for variable, momentum, velocity, gradient in rows:
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=momentum.handle,
            v=velocity.handle,
            grad=gradient,
            beta1=BETA_1,
            beta2=BETA_2,
            **numbers,
        )
