"""rnn: an image read row by row, each row one step, or tokens one by one, by recurrent layers.

Their last state is classified.

Source: LSTM: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997. GRU: Cho et al., "Learning Phrase
Representations using RNN Encoder-Decoder", 2014.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import SeedOf, Shape

INPUTS = ("images", "tokens")
HYPERPARAMETERS: Mapping[str, Hyperparameter] = {
    "cell": Hyperparameter(str, "lstm", words=("lstm", "gru")),
    "recurrent_units": Hyperparameter(int, 128, 1, 8_192),
    "recurrent_layers": Hyperparameter(int, 1, 1, 16),
    "direction": Hyperparameter(str, "forward", words=("forward", "both")),
}
# How many products of matrices a step takes: a GRU has two gates and a candidate, an LSTM a gate more.
GATES = {"lstm": 4, "gru": 3}


def layers(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From scaled images (height, width, channels), read as (height, width * channels), to features."""
    import keras

    # The width and channels of a row, in one axis.
    yield keras.layers.TimeDistributed(keras.layers.Flatten(), name="rows")
    yield from _states(configuration, seed_of)


def token_layers(configuration: Configuration, seed_of: SeedOf, vocabulary: int) -> Iterator[Any]:
    """From tokens (length,) to features: each token a vector as wide as a state; padding is passed over."""
    import keras

    yield keras.layers.Embedding(
        vocabulary,
        int(configuration["recurrent_units"]),
        embeddings_initializer=keras.initializers.RandomUniform(-0.05, 0.05, seed=seed_of("embedded")),
        mask_zero=True,
        name="embedded",
    )
    yield from _states(configuration, seed_of)


def _states(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From steps (num_steps, num_features) to the last state."""
    import keras

    last = int(configuration["recurrent_layers"]) - 1
    for index in range(last + 1):
        layer = _recurrent(configuration, f"recurrent_{index}", seed_of, is_last=index == last)
        is_both = configuration["direction"] == "both"
        yield keras.layers.Bidirectional(layer, name=f"both_{index}") if is_both else layer
        if configuration["dropout"]:
            name = f"dropout_{index}"
            yield keras.layers.Dropout(float(configuration["dropout"]), seed=seed_of(name), name=name)


def _recurrent(configuration: Configuration, name: str, seed_of: SeedOf, is_last: bool) -> Any:
    import keras

    kind = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[str(configuration["cell"])]
    return kind(
        int(configuration["recurrent_units"]),
        return_sequences=not is_last,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
        recurrent_initializer=keras.initializers.Orthogonal(seed=seed_of(f"{name}_state")),
        name=name,
    )


def multiply_adds(configuration: Configuration, shape: Shape) -> tuple[int, int]:
    """What these layers cost for one image, or for tokens (length,), and how many features they give."""
    units, ways = int(configuration["recurrent_units"]), 2 if configuration["direction"] == "both" else 1
    height, width, channels = shape if len(shape) == 3 else (*shape, units, 1)
    total, features = 0, width * channels
    for _ in range(int(configuration["recurrent_layers"])):
        total += height * ways * GATES[str(configuration["cell"])] * units * (features + units)
        features = ways * units
    return total, features


def is_dense(configuration: Configuration) -> bool:  # noqa: ARG001  the family's name
    """Never: it is trained layer by layer."""
    return False
