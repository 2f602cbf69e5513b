"""How the learning rate changes over a trial."""

from __future__ import annotations

from math import cos, pi

from pipeline.space import Configuration


def learning_rate(configuration: Configuration, epoch: int, num_epochs: int) -> float:
    """The rate of one epoch, from 1 to `num_epochs`: constant, or falling from the given rate towards zero.

    Source: Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", section 3,
        equation 5 without restarts, one step an epoch: it needs no count of steps, and the last epoch trains.
    """
    rate = float(configuration["learning_rate"])
    if configuration["schedule"] == "constant":
        return rate
    return rate * (1 + cos(pi * (epoch - 1) / num_epochs)) / 2
