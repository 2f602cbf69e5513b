"""What a configuration says of the steps of training: the optimizer, and the rate of every step."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, pi
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.space import Configuration
from pipeline.training.lean import keras

KINDS = {"adam": keras.optimizers.Adam, "sgd": keras.optimizers.SGD, "rmsprop": keras.optimizers.RMSprop}
# What AdamW decays weights by in Keras, where nothing is said.
ADAMW_DECAY = 0.004
# Settings of an optimizer that may be anything; with any other unusual one it makes its steps itself.
FREE = ("name", "learning_rate", "weight_decay", "momentum", "nesterov")


class Rule(NamedTuple):
    """How a step changes weights, but for its numbers: what an epoch is compiled for."""

    kind: str = "adam"
    has_decay: bool = False
    has_momentum: bool = False
    is_nesterov: bool = False


@dataclass(frozen=True)
class Optimizer:
    """An optimizer whose steps the compiled epoch makes itself.

    Attributes:
        weight_decay: the share of every weight that a step takes off, times the rate, before its update.
        momentum, is_nesterov: of sgd.

    Source: Loshchilov and Hutter (2019), "Decoupled Weight Decay Regularization", section 2: AdamW is Adam
        with such a decay; Sutskever et al. (2013), "On the importance of initialization and momentum in deep
        learning", section 2: Nesterov's momentum in the form of a step that looks ahead.
    """

    kind: str = "adam"
    weight_decay: float = 0.0
    momentum: float = 0.0
    is_nesterov: bool = False

    @classmethod
    def of(cls, configuration: Configuration) -> Optimizer:
        """What a configuration asks for; Adam where it says nothing.

        Raises:
            ValueError: it is none that is known, as a model of the user's may call its own.
        """
        name = str(configuration.get("optimizer", "adam"))
        kind = "adam" if name == "adamw" else name
        if kind not in KINDS:
            raise ValueError(f"optimizer must be one of adamw, {', '.join(KINDS)}, not {name}")
        decay = float(configuration.get("weight_decay", ADAMW_DECAY if name == "adamw" else 0.0))
        if kind != "sgd":
            return cls(kind, decay)
        momentum = float(configuration.get("momentum", 0.0))
        return cls(kind, decay, momentum, momentum > 0 and configuration.get("nesterov") == "yes")

    @classmethod
    def known(cls, optimizer: Any) -> Optimizer | None:
        """What a Keras optimizer is; None if it does anything that a step here does not."""
        kind = next((name for name, one in KINDS.items() if type(optimizer) is one), "")
        kind = "adam" if type(optimizer) is keras.optimizers.AdamW else kind
        if not kind or getattr(optimizer, "_exclude_from_weight_decay", None):
            return None
        given, usual = optimizer.get_config(), KINDS[kind](0.001).get_config()
        is_usual = all(value == usual[name] for name, value in given.items() if name not in FREE)
        if not is_usual or not isinstance(given["learning_rate"], float):
            return None
        if kind == "rmsprop" and given["momentum"]:
            return None
        decay, momentum = given["weight_decay"] or 0.0, given.get("momentum", 0.0)
        return cls(kind, decay, momentum, bool(momentum and given["nesterov"]))

    @property
    def rule(self) -> Rule:
        """What an epoch is compiled for."""
        return Rule(self.kind, self.weight_decay > 0, self.momentum > 0, self.is_nesterov)

    def made(self, learning_rate: float) -> keras.optimizers.Optimizer:
        """The Keras optimizer."""
        own = {"momentum": self.momentum, "nesterov": self.is_nesterov} if self.kind == "sgd" else {}
        return KINDS[self.kind](learning_rate, weight_decay=self.weight_decay or None, **own)


# The share of steps that warm up where the study does not say: as PyTorch's OneCycleLR has it.
WARMUP = 0.3
# The schedule whose rate is another in each step, not in each epoch.
PER_STEP = "one_cycle"


def learning_rates(
    configuration: Configuration, epoch: int, num_epochs: int, num_steps: int
) -> NDArray[np.float32]:
    """The rate of each step of one epoch, from 1 to `num_epochs`, each of `num_steps`: (num_steps,).

    One cycle: the rate rises in equal steps to the given one, then falls by half a cosine towards zero.

    Source: Smith and Topin (2018), "Super-Convergence: Very Fast Training of Neural Networks Using Large
        Learning Rates", section 3: one cycle over all steps, here with a warm-up in a line and momentum left
        alone; the fall: Loshchilov and Hutter (2017), see `learning_rate`, a step at a time.
    """
    if configuration["schedule"] != PER_STEP:
        return np.full(num_steps, learning_rate(configuration, epoch, num_epochs), np.float32)
    warmup, fall = _cycle(configuration, num_epochs * num_steps)
    step = np.arange((epoch - 1) * num_steps, epoch * num_steps)
    rising, falling = (step + 1) / (warmup + 1), (1 + np.cos(pi * (step - warmup) / fall)) / 2
    rate = float(configuration["learning_rate"])
    return (rate * np.where(step < warmup, rising, falling)).astype(np.float32)


def one_cycle(configuration: Configuration, num_epochs: int, num_steps: int) -> Any:
    """The rates of `learning_rates` over all epochs, as Keras' own schedule."""
    rate = float(configuration["learning_rate"])
    warmup, fall = _cycle(configuration, num_epochs * num_steps)
    if not warmup:
        return keras.optimizers.schedules.CosineDecay(rate, fall)
    first = rate / (warmup + 1)
    return keras.optimizers.schedules.CosineDecay(first, fall, warmup_target=rate, warmup_steps=warmup)


def _cycle(configuration: Configuration, num_steps: int) -> tuple[int, int]:
    """How many of a trial's steps warm up, and over how many the rate falls; both train throughout."""
    warmup = int(float(configuration.get("warmup", WARMUP)) * num_steps)
    return warmup, num_steps - warmup


def learning_rate(configuration: Configuration, epoch: int, num_epochs: int) -> float:
    """The rate of one epoch, from 1 to `num_epochs`: constant, or falling from the given rate towards zero.

    Source: Loshchilov and Hutter (2017), "SGDR: Stochastic Gradient Descent with Warm Restarts", section 3,
        equation 5 without restarts, one step an epoch: it needs no count of steps, and the last epoch trains.
    """
    rate = float(configuration["learning_rate"])
    if configuration["schedule"] == "constant":
        return rate
    return rate * (1 + cos(pi * (epoch - 1) / num_epochs)) / 2
