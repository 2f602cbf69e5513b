"""mlp: hidden layers of one width on flat pixels.

Source: its defaults are "TensorFlow 2 quickstart for beginners": Flatten, Dense 128 relu, Dense 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import SeedOf, Shape

HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "hidden_layers": Hyperparameter(int, 1, 0, 32),
    "hidden_units": Hyperparameter(int, 128, 1, 65_536),
    "activation": Hyperparameter(str, "relu", words=("relu", "sigmoid", "tanh", "gelu", "swish")),
}
# What a compiled epoch of dense layers knows; who adds a hyperparameter decides whether it belongs here.
DENSE = frozenset(
    {"model", "batch_size", "learning_rate", "schedule", "dropout", "hidden_layers", "hidden_units"}
    | {"activation", "rotation", "zoom", "epochs", "early_stopping"}
    | {"optimizer", "weight_decay", "momentum", "nesterov", "warmup", "label_smoothing"}
)


def layers(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From scaled images to features."""
    import keras

    yield keras.layers.Flatten(name="flat")
    for index in range(int(configuration["hidden_layers"])):
        name, dropout = f"hidden_{index}", f"dropout_{index}"
        yield keras.layers.Dense(
            int(configuration["hidden_units"]),
            activation=configuration["activation"],
            name=name,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
        )
        if configuration["dropout"]:
            yield keras.layers.Dropout(float(configuration["dropout"]), seed=seed_of(dropout), name=dropout)


def multiply_adds(configuration: Configuration, shape: Shape) -> tuple[int, int]:
    """What these layers cost for one image, and how many features they give."""
    units = [int(configuration["hidden_units"])] * int(configuration["hidden_layers"])
    widths = [prod(shape), *units]
    return sum(a * b for a, b in pairwise(widths)), widths[-1]


def is_dense(configuration: Configuration) -> bool:
    """Whether there is nothing but dense layers on plain pixels."""
    is_plain = not configuration["rotation"] and not configuration["zoom"]
    return is_plain and set(configuration) <= DENSE
