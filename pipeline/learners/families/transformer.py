"""transformer: an image as square patches, or tokens, attended to by encoder blocks, then averaged.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", 2021, with the mean of all patches for the class
token, as in Beyer et al., "Better plain ViT baselines for ImageNet-1k", 2022.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import ceil
from typing import TYPE_CHECKING, Any

from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import SeedOf, Shape

INPUTS = ("images", "tokens")
HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "patch": Hyperparameter(int, 4, 1, 512),
    "width": Hyperparameter(int, 64, 1, 8_192),
    "heads": Hyperparameter(int, 4, 1, 128),
    "depth": Hyperparameter(int, 2, 1, 64),
}
# The hidden layer of a block has so many times the width.
EXPANSION = 2


def layers(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From scaled images to features: functions of tensors, since a block adds what it was given."""
    import keras

    yield lambda hidden: _patches(hidden, int(configuration["patch"]), int(configuration["width"]), seed_of)
    for index in range(int(configuration["depth"])):
        yield lambda hidden, index=index: _block(hidden, configuration, f"block_{index}", seed_of)
    yield keras.layers.LayerNormalization(name="norm")
    yield keras.layers.GlobalAveragePooling1D(name="mean")


def token_layers(configuration: Configuration, seed_of: SeedOf, vocabulary: int) -> Iterator[Any]:
    """From tokens (length,) to features: nothing attends to padding, nor is it averaged."""
    yield lambda tokens: _of_tokens(tokens, configuration, seed_of, vocabulary)


def _of_tokens(tokens: Any, configuration: Configuration, seed_of: SeedOf, vocabulary: int) -> Any:
    import keras

    def embedded(given: Any, size: int, name: str) -> Any:
        start = keras.initializers.RandomNormal(stddev=0.02, seed=seed_of(name))
        width = int(configuration["width"])
        return keras.layers.Embedding(size, width, embeddings_initializer=start, name=name)(given)

    is_token = keras.ops.not_equal(tokens, 0)
    places = keras.ops.cumsum(keras.ops.ones_like(tokens), axis=1) - 1
    parts = [embedded(tokens, vocabulary, "embedded"), embedded(places, tokens.shape[1], "places")]
    hidden = keras.layers.Add(name="sequence")(parts)
    for index in range(int(configuration["depth"])):
        hidden = _block(hidden, configuration, f"block_{index}", seed_of, is_token)
    hidden = keras.layers.LayerNormalization(name="norm")(hidden)
    return keras.layers.GlobalAveragePooling1D(name="mean")(hidden, mask=is_token)


def _patches(hidden: Any, patch: int, width: int, seed_of: SeedOf) -> Any:
    """From (height, width, channels) to (patches, width): a projection with a bias for each place."""
    import keras

    # Black at the lower and right edges, where a patch is not whole.
    padding = [(0, -size % patch) for size in hidden.shape[1:3]]
    if any(more for _, more in padding):
        hidden = keras.layers.ZeroPadding2D(padding, name="padded")(hidden)
    _, rows, columns, channels = hidden.shape
    rows, columns = rows // patch, columns // patch
    hidden = keras.layers.Reshape((rows, patch, columns, patch, channels), name="cut")(hidden)
    hidden = keras.layers.Permute((1, 3, 2, 4, 5), name="by_patch")(hidden)
    hidden = keras.layers.Reshape((rows * columns, patch**2 * channels), name="sequence")(hidden)
    return keras.layers.EinsumDense(
        "abc,cd->abd",
        (rows * columns, width),
        bias_axes="bd",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of("patches")),
        bias_initializer=keras.initializers.RandomNormal(stddev=0.02, seed=seed_of("places")),
        name="patches",
    )(hidden)


def _block(
    hidden: Any, configuration: Configuration, name: str, seed_of: SeedOf, is_token: Any = None
) -> Any:
    """Attention, then two dense layers, each added to what it was given, which is normalised first."""
    import keras

    width, rate = int(configuration["width"]), float(configuration["dropout"])

    def dropped(given: Any, part: str) -> Any:
        part = f"{name}_{part}_dropout"
        return keras.layers.Dropout(rate, seed=seed_of(part), name=part)(given) if rate else given

    normal = keras.layers.LayerNormalization(name=f"{name}_attention_norm")(hidden)
    attended = dropped(
        _attention(normal, int(configuration["heads"]), f"{name}_attention", seed_of, is_token), "attention"
    )
    hidden = keras.layers.Add(name=f"{name}_attended")([hidden, attended])
    normal = keras.layers.LayerNormalization(name=f"{name}_dense_norm")(hidden)
    for part, units, activation in (("inner", EXPANSION * width, "gelu"), ("outer", width, None)):
        start = keras.initializers.GlorotUniform(seed=seed_of(f"{name}_{part}"))
        dense = keras.layers.Dense(units, activation, kernel_initializer=start, name=f"{name}_{part}")
        normal = dropped(dense(normal), part)
    return keras.layers.Add(name=f"{name}_out")([hidden, normal])


def _attention(hidden: Any, heads: int, name: str, seed_of: SeedOf, is_token: Any) -> Any:
    """Each patch's mean of all patches, weighted by how its query meets their keys, in each head.

    Args:
        is_token: (length,), which places may be attended to; None: all.

    Keras' own layer would start queries, keys and values from one and the same seed, hence alike.
    """
    import keras

    _, patches, width = hidden.shape
    size = max(1, width // heads)

    def projected(given: Any, part: str, equation: str, shape: tuple[int, ...], bias: str | None) -> Any:
        return keras.layers.EinsumDense(
            equation,
            shape,
            bias_axes=bias,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(f"{name}_{part}")),
            name=f"{name}_{part}",
        )(given)

    asked, offered, told = (
        # A bias of the keys would add the same to all of a query's products, which the softmax takes away.
        projected(hidden, part, "abc,cde->abde", (patches, heads, size), None if part == "key" else "de")
        for part in ("query", "key", "value")
    )
    if is_token is None:
        mixed = keras.ops.dot_product_attention(asked, offered, told)
    else:
        # The same for every head and query.
        mask = keras.ops.expand_dims(is_token, axis=(1, 2))
        mixed = keras.ops.dot_product_attention(asked, offered, told, mask=mask)
    return projected(mixed, "output", "abde,dec->abc", (patches, width), "c")


def multiply_adds(configuration: Configuration, shape: Shape) -> tuple[int, int]:
    """What these layers cost for one image, or for tokens (length,), and how many features they give."""
    patch, features, heads = (int(configuration[name]) for name in ("patch", "width", "heads"))
    inside = heads * max(1, features // heads)
    if len(shape) == 1:
        # To look a token's vector up costs nothing.
        patches, inputs = shape[0], 0
    else:
        height, width, channels = shape
        patches, inputs = ceil(height / patch) * ceil(width / patch), patch**2 * channels
    # Queries, keys, values and their way back; weights of each pair of patches, and their sums; two layers.
    block = 4 * patches * features * inside + 2 * patches**2 * inside + 2 * EXPANSION * patches * features**2
    return patches * inputs * features + int(configuration["depth"]) * block, features


def is_dense(configuration: Configuration) -> bool:  # noqa: ARG001  the family's name
    """Never: it is trained layer by layer."""
    return False
