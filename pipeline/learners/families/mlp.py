"""mlp: hidden layers of one width on flat pixels, or on features.

Source: its defaults are "TensorFlow 2 quickstart for beginners": Flatten, Dense 128 relu, Dense 10.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import prod
from typing import TYPE_CHECKING, Any

from pipeline.learners import augmentation
from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import SeedOf, Shape

INPUTS = ("images", "features")
HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "hidden_layers": Hyperparameter(int, 1, 0, 32),
    "hidden_units": Hyperparameter(int, 128, 1, 65_536),
    "activation": Hyperparameter(str, "relu", words=("relu", "sigmoid", "tanh", "gelu", "swish")),
}
OPTIONAL: Mapping[str, Hyperparameter] = {"batch_norm": Hyperparameter(str, "no", words=("no", "yes"))}
# What a compiled epoch of dense layers knows; who adds a hyperparameter decides whether it belongs here.
DENSE = frozenset(
    {"model", "batch_size", "learning_rate", "schedule", "dropout", "hidden_layers", "hidden_units"}
    | {"activation", "rotation", "zoom", "epochs", "early_stopping", "train_images"}
    | {"optimizer", "weight_decay", "momentum", "nesterov", "warmup", "label_smoothing"}
    | {"shift", "augmentation", "batch_norm"}
)


def layers(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From scaled images, or standardised columns, to features."""
    import keras

    yield keras.layers.Flatten(name="flat")
    for index in range(int(configuration["hidden_layers"])):
        name, dropout = f"hidden_{index}", f"dropout_{index}"
        yield from activated(
            keras.layers.Dense,
            configuration,
            units=int(configuration["hidden_units"]),
            name=name,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
        )
        if configuration["dropout"]:
            yield keras.layers.Dropout(float(configuration["dropout"]), seed=seed_of(dropout), name=dropout)


def activated(kind: Any, configuration: Configuration, **settings: Any) -> Iterator[Any]:
    """A layer with the configuration's activation, and batch normalisation between the two where it has it.

    Source: Ioffe and Szegedy (2015), "Batch Normalization: Accelerating Deep Network Training by Reducing
        Internal Covariate Shift", section 3.2.
    """
    import keras

    if not _is_normalised(configuration):
        yield kind(activation=configuration["activation"], **settings)
        return
    # A bias would be taken off again with the mean, and Adam would let it drift on what rounding leaves.
    yield kind(use_bias=False, **settings)
    yield keras.layers.BatchNormalization(name=f"{settings['name']}_norm")
    yield keras.layers.Activation(configuration["activation"], name=f"{settings['name']}_activation")


def _is_normalised(configuration: Configuration) -> bool:
    return configuration.get("batch_norm") == "yes"


def multiply_adds(configuration: Configuration, shape: Shape) -> tuple[int, int]:
    """What these layers cost for one input, and how many features they give."""
    units = [int(configuration["hidden_units"])] * int(configuration["hidden_layers"])
    widths = [prod(shape), *units]
    return sum(a * b for a, b in pairwise(widths)), widths[-1]


def is_dense(configuration: Configuration) -> bool:
    """Whether there is nothing but dense layers on plain pixels."""
    is_plain = not augmentation.amounts(configuration) and not _is_normalised(configuration)
    return is_plain and set(configuration) <= DENSE
