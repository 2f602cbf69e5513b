"""Steps of the known optimizers, as functions from old weights to new ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pipeline.training.optimizers import Optimizer, Rule

BETA_1 = 0.9
BETA_2 = 0.999
EPSILON = 1e-7
RHO = 0.9
# How many numbers an optimizer keeps for each weight.
SLOTS = {"adam": 2, "sgd": 0, "rmsprop": 1}


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Trained:
    """Variables, and what the optimizer keeps for each, float32, in one order.

    Attributes:
        slots: of adam the first and the second moments, of sgd the momentums if it has any, of rmsprop the
            mean squares.
    """

    variables: list[Any]
    slots: list[list[Any]]


def fresh(variables: list[Any], rule: Rule) -> Trained:
    """Variables that no step has touched yet: what the optimizer keeps is zero."""
    num_slots = SLOTS[rule.kind] + rule.has_momentum
    return Trained(
        variables, [[jnp.zeros_like(variable) for variable in variables] for _ in range(num_slots)]
    )


def numbers(optimizer: Optimizer) -> dict[str, Any]:
    """What `updated` is told of an optimizer beside its rule, as numpy values."""
    return {
        "weight_decay": np.float32(optimizer.weight_decay),
        "momentum": np.float32(optimizer.momentum),
    }


def updated(
    trained: Trained, gradients: Sequence[Any], rule: Rule, step: Any, rate: Any, own: Mapping[str, Any]
) -> Trained:
    """What one step of the optimizer makes of the variables.

    Args:
        gradients: one for each variable, of its shape, float32.
        step: how many steps were made before, scalar, an integer.
        rate: the learning rate, scalar, float32.
        own: what `numbers` gives.
    """
    variables = trained.variables
    if rule.has_decay:
        variables = [variable - variable * (own["weight_decay"] * rate) for variable in variables]
    return UPDATES[rule.kind](Trained(variables, trained.slots), gradients, rule, step, rate, own)


def _adam(
    trained: Trained, gradients: Sequence[Any], _: Rule, step: Any, rate: Any, __: Mapping[str, Any]
) -> Trained:
    """Source: Kingma and Ba (2015), "Adam: A Method for Stochastic Optimization", section 2, last paragraph:
    the form whose bias corrections are part of the rate, as in Keras.
    """
    count = (step + 1).astype(jnp.float32)
    rate = rate * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)
    momentums, velocities = trained.slots
    momentums = [
        old + (gradient - old) * (1 - BETA_1) for old, gradient in zip(momentums, gradients, strict=True)
    ]
    velocities = [
        old + (gradient * gradient - old) * (1 - BETA_2)
        for old, gradient in zip(velocities, gradients, strict=True)
    ]
    variables = [
        variable - momentum * rate / (jnp.sqrt(velocity) + EPSILON)
        for variable, momentum, velocity in zip(trained.variables, momentums, velocities, strict=True)
    ]
    return Trained(variables, [momentums, velocities])


def _sgd(
    trained: Trained, gradients: Sequence[Any], rule: Rule, _: Any, rate: Any, own: Mapping[str, Any]
) -> Trained:
    steps = [-rate * gradient for gradient in gradients]
    if not rule.has_momentum:
        return Trained([old + step for old, step in zip(trained.variables, steps, strict=True)], [])
    momentums = [own["momentum"] * old + step for old, step in zip(trained.slots[0], steps, strict=True)]
    ahead = momentums
    if rule.is_nesterov:
        ahead = [own["momentum"] * new + step for new, step in zip(momentums, steps, strict=True)]
    return Trained([old + step for old, step in zip(trained.variables, ahead, strict=True)], [momentums])


def _rmsprop(
    trained: Trained, gradients: Sequence[Any], _: Rule, __: Any, rate: Any, ___: Mapping[str, Any]
) -> Trained:
    """Source: Hinton (2012), "Neural Networks for Machine Learning", lecture 6e."""
    squares = [
        RHO * old + (1 - RHO) * gradient * gradient
        for old, gradient in zip(trained.slots[0], gradients, strict=True)
    ]
    variables = [
        old - rate * gradient / jnp.sqrt(square + EPSILON)
        for old, gradient, square in zip(trained.variables, gradients, squares, strict=True)
    ]
    return Trained(variables, [squares])


UPDATES = {"adam": _adam, "sgd": _sgd, "rmsprop": _rmsprop}
