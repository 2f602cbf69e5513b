"""Adam with the numbers of Keras' Adam; the compiler makes one pass over memory of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trained:
    """Variables and their first and second moments, float32, in one order."""

    variables: list[Any]
    momentums: list[Any]
    velocities: list[Any]


def fresh(variables: list[Any]) -> Trained:
    """Variables that no step has touched yet: all moments are zero."""
    momentums, velocities = ([jnp.zeros_like(variable) for variable in variables] for _ in range(2))
    return Trained(variables, momentums, velocities)


def updated(trained: Trained, gradients: Sequence[Any], learning_rate: Any, step: Any) -> Trained:
    """What one step of Adam makes of the variables.

    Args:
        gradients: one for each variable, of its shape, float32.
        learning_rate: scalar, float32.
        step: how many steps were made before, scalar, an integer.

    Source: Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", section 2, last paragraph:
        the form whose bias corrections are part of the rate, as in Keras.
    """
    count = (step + 1).astype(jnp.float32)
    rate = learning_rate * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    momentums = [
        old + (gradient - old) * (1 - BETA_1)
        for old, gradient in zip(trained.momentums, gradients, strict=True)
    ]
    velocities = [
        old + (gradient * gradient - old) * (1 - BETA_2)
        for old, gradient in zip(trained.velocities, gradients, strict=True)
    ]
    variables = [
        variable - momentum * rate / (jnp.sqrt(velocity) + EPSILON)
        for variable, momentum, velocity in zip(trained.variables, momentums, velocities, strict=True)
    ]
    return Trained(variables, momentums, velocities)
