"""cnn: blocks of a convolution and a pooling, each with twice the filters, then the layers of an mlp.

Two blocks of 3 x 3 and the maximum of 2 x 2, unless the study says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

from pipeline.learners.families import mlp
from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import SeedOf, Shape

HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "hidden_layers": mlp.HYPERPARAMETERS["hidden_layers"],
    "hidden_units": mlp.HYPERPARAMETERS["hidden_units"],
    "filters": Hyperparameter(int, 16, 1, 4_096),
    "activation": mlp.HYPERPARAMETERS["activation"],
}
OPTIONAL: Mapping[str, Hyperparameter] = {
    **mlp.OPTIONAL,
    "blocks": Hyperparameter(int, 2, 1, 8),
    "kernel_size": Hyperparameter(int, 3, 1, 31),
    # What halves an image: the maximum or the mean of 2 x 2, or convolutions that move by two.
    "pooling": Hyperparameter(str, "max", words=("max", "average", "stride")),
}


def layers(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From scaled images to features."""
    import keras

    blocks, kernel_size, pooling = _shape(configuration)
    for index in range(blocks):
        name = f"convolution_{index}"
        yield from mlp.activated(
            keras.layers.Conv2D,
            configuration,
            filters=_filters(configuration, index),
            kernel_size=kernel_size,
            strides=2 if pooling == "stride" else 1,
            padding="same",
            name=name,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
        )
        if pooling != "stride":
            yield lambda hidden, name=f"pooling_{index}": _pooled(hidden, pooling, name)
    yield from mlp.layers(configuration, seed_of)


def _shape(configuration: Configuration) -> tuple[int, int, str]:
    """How many blocks, how large a kernel, and what halves an image."""
    given = {name: configuration.get(name, one.default) for name, one in OPTIONAL.items()}
    return int(given["blocks"] or 0), int(given["kernel_size"] or 0), str(given["pooling"])


def _filters(configuration: Configuration, index: int) -> int:
    return int(configuration["filters"]) << index


def _pooled(hidden: Any, pooling: str, name: str) -> Any:
    """Half the height and width; the same where one of them is a single pixel."""
    import keras

    if min(hidden.shape[1:3]) < 2:
        return hidden
    kinds = {"max": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}
    return kinds[pooling](2, name=name)(hidden)


def multiply_adds(configuration: Configuration, shape: Shape) -> tuple[int, int]:
    """What these layers cost for one image, and how many features they give."""
    height, width, channels = shape
    blocks, kernel_size, pooling = _shape(configuration)
    total = 0
    for index in range(blocks):
        filters = _filters(configuration, index)
        if pooling == "stride":
            height, width = ceil(height / 2), ceil(width / 2)
        total += height * width * kernel_size**2 * channels * filters
        if pooling != "stride" and min(height, width) > 1:
            height, width = height // 2, width // 2
        channels = filters
    rest, features = mlp.multiply_adds(configuration, (height, width, channels))
    return total + rest, features


def is_dense(configuration: Configuration) -> bool:  # noqa: ARG001  the family's name
    """Never: it is trained layer by layer."""
    return False
