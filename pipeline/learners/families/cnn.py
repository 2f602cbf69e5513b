"""cnn: two pooled convolutions of 3 x 3, the second with twice the filters, then the layers of an mlp."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.learners.families import mlp
from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import SeedOf, Shape

INPUTS = ("images",)
HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "hidden_layers": mlp.HYPERPARAMETERS["hidden_layers"],
    "hidden_units": mlp.HYPERPARAMETERS["hidden_units"],
    "filters": Hyperparameter(int, 16, 1, 4_096),
    "activation": mlp.HYPERPARAMETERS["activation"],
}


def layers(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From scaled images to features."""
    import keras

    for index in range(2):
        name = f"convolution_{index}"
        yield keras.layers.Conv2D(
            int(configuration["filters"]) * (index + 1),
            3,
            padding="same",
            activation=configuration["activation"],
            name=name,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
        )
        yield keras.layers.MaxPooling2D(name=f"pooling_{index}")
    yield from mlp.layers(configuration, seed_of)


def multiply_adds(configuration: Configuration, shape: Shape) -> tuple[int, int]:
    """What these layers cost for one image, and how many features they give."""
    height, width, channels = shape
    total = 0
    for index in range(2):
        filters = int(configuration["filters"]) * (index + 1)
        total += height * width * 9 * channels * filters
        height, width, channels = height // 2, width // 2, filters
    rest, features = mlp.multiply_adds(configuration, (height, width, channels))
    return total + rest, features


def is_dense(configuration: Configuration) -> bool:  # noqa: ARG001  the family's name
    """Never: it is trained layer by layer."""
    return False
