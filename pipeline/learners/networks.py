"""Keras networks of images, from raw pixels to class probabilities: mlp and cnn."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil, prod
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pipeline.space import Configuration, Hyperparameter
from pipeline.study import DataShape, Direction, Study

if TYPE_CHECKING:
    import keras

    from pipeline.training.program import Program, SeedOf, Shape

# What one step costs beside its arithmetic, in multiply-adds: starting the operations takes about as long.
STEP_OVERHEAD = 4_000_000
# What a network of dense layers depends on; whoever adds a hyperparameter decides whether it belongs here.
DENSE = frozenset(
    {"model", "batch_size", "learning_rate", "schedule", "dropout", "hidden_layers", "hidden_units"}
    | {"filters", "activation", "rotation", "zoom", "epochs"}
)


class Networks:
    """A learner whose models are built of a few layers, with TensorFlow's tutorial as default."""

    weights_suffix = ".weights.h5"
    hyperparameters: Mapping[str, Hyperparameter] = MappingProxyType(
        {
            "model": Hyperparameter(str, "mlp", words=("mlp", "cnn")),
            "batch_size": Hyperparameter(int, 32, 1, 65_536),
            "learning_rate": Hyperparameter(float, 0.001, 0, 10, low_open=True),
            "schedule": Hyperparameter(str, "constant", words=("constant", "cosine")),
            "dropout": Hyperparameter(float, 0.0, 0, 1, high_open=True),
            "hidden_layers": Hyperparameter(int, 1, 0, 32),
            "hidden_units": Hyperparameter(int, 128, 1, 65_536),
            "filters": Hyperparameter(int, 16, 1, 4_096),
            "activation": Hyperparameter(str, "relu", words=("relu", "sigmoid", "tanh")),
            "rotation": Hyperparameter(float, 0.0, 0, 0.5),
            "zoom": Hyperparameter(float, 0.0, 0, 0.9),
            "epochs": Hyperparameter(int, 5, 1, 100_000),
        }
    )
    metrics: Mapping[str, Direction] = MappingProxyType(
        {"loss": "minimize", "accuracy": "maximize", "val_loss": "minimize", "val_accuracy": "maximize"}
    )

    def as_settings(self) -> dict[str, Any]:
        """What a worker needs to find it again."""
        return {"kind": "networks"}

    def sources(self) -> dict[str, str]:
        """None beside this package."""
        return {}

    def examine(self, study: Study, data: DataShape) -> Iterable[str]:  # noqa: ARG002  the seam's names
        """Nothing: whatever the space holds can be built."""
        return ()

    def cost(self, configuration: Configuration, data: DataShape) -> int:
        """One epoch, in multiply-adds.

        It need not be exact, only the same everywhere: it orders the epochs of trials in flight.
        """
        image = _multiply_adds(configuration, data.input_shape, data.num_classes)
        steps = ceil(data.num_train / int(configuration["batch_size"]))
        return (3 * data.num_train + data.num_val) * image + steps * STEP_OVERHEAD

    def open(self, settings: Mapping[str, Any]) -> tuple[Program, str]:
        """Plain fit or the compiled epoch, and the device that it runs on, in words."""
        from pipeline.training import framework

        return framework.open_program(self, settings)

    def restore(
        self, configuration: Configuration, data: DataShape, weights_path: Path, weights_sha256: str = ""
    ) -> keras.Model:
        """The configuration's model with the weights of a `.weights.h5` file; see `evaluation.restore`."""
        from pipeline.training import evaluation

        untrained = evaluation.untrained(self, configuration, data.input_shape, data.num_classes)
        return evaluation.restore(untrained, weights_path, weights_sha256)

    def is_dense(self, configuration: Configuration) -> bool:
        """Whether the configuration is a network of dense layers on plain pixels, and nothing else."""
        is_plain = not configuration["rotation"] and not configuration["zoom"]
        return configuration["model"] == "mlp" and is_plain and set(configuration) <= DENSE

    def build(
        self, configuration: Configuration, shape: Shape, num_classes: int, seed_of: SeedOf
    ) -> keras.Model:
        """A model from raw pixels to class probabilities.

        Args:
            configuration: a value for every hyperparameter.
            shape: (height, width, channels) of an image, uint8, 0-255; scaled to 0-1 inside the model.
            num_classes: how many labels there are.
            seed_of: a name to a seed; every layer that draws has a name of its own.

        Source: the MLP with its defaults is the network of TensorFlow's beginner tutorial
            ("TensorFlow 2 quickstart for beginners": Flatten, Dense 128 relu, Dense 10, adam).
        """
        import keras

        layers = keras.layers
        inputs = keras.Input(shape, dtype="uint8", name="pixels")
        hidden = layers.Rescaling(1 / 255, name="scaled")(inputs)
        for layer in _augmentation(configuration, seed_of):
            hidden = layer(hidden)
        for layer in MODELS[str(configuration["model"])](configuration, seed_of):
            hidden = layer(hidden)
        outputs = layers.Dense(
            num_classes,
            activation="softmax",
            name="probabilities",
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of("probabilities")),
        )(hidden)
        return keras.Model(inputs, outputs, name=str(configuration["model"]))


def _augmentation(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    import keras

    rotation, zoom = float(configuration["rotation"]), float(configuration["zoom"])
    if rotation:
        yield keras.layers.RandomRotation(
            rotation, fill_mode="constant", seed=seed_of("rotation"), name="rotation"
        )
    if zoom:
        yield keras.layers.RandomZoom(zoom, fill_mode="constant", seed=seed_of("zoom"), name="zoom")


def _mlp(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    import keras

    yield keras.layers.Flatten(name="flat")
    for index in range(int(configuration["hidden_layers"])):
        yield from _hidden(configuration, seed_of, index)


def _cnn(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    import keras

    filters = int(configuration["filters"])
    for index in range(2):
        name = f"convolution_{index}"
        yield keras.layers.Conv2D(
            filters * (index + 1),
            3,
            padding="same",
            activation=configuration["activation"],
            name=name,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
        )
        yield keras.layers.MaxPooling2D(name=f"pooling_{index}")
    yield from _mlp(configuration, seed_of)


def _hidden(configuration: Configuration, seed_of: SeedOf, index: int) -> Iterator[Any]:
    import keras

    name = f"hidden_{index}"
    yield keras.layers.Dense(
        int(configuration["hidden_units"]),
        activation=configuration["activation"],
        name=name,
        kernel_initializer=keras.initializers.GlorotUniform(seed=seed_of(name)),
    )
    if configuration["dropout"]:
        dropout = f"dropout_{index}"
        yield keras.layers.Dropout(float(configuration["dropout"]), seed=seed_of(dropout), name=dropout)


MODELS: dict[str, Callable[[Configuration, SeedOf], Iterator[Any]]] = {"mlp": _mlp, "cnn": _cnn}


def _multiply_adds(configuration: Configuration, shape: tuple[int, ...], num_classes: int) -> int:
    height, width, channels = shape
    total = 0
    if configuration["rotation"] or configuration["zoom"]:
        total += 100 * prod(shape)
    if configuration["model"] == "cnn":
        for index in range(2):
            filters = int(configuration["filters"]) * (index + 1)
            total += height * width * 9 * channels * filters
            height, width, channels = height // 2, width // 2, filters
    units = [int(configuration["hidden_units"])] * int(configuration["hidden_layers"])
    widths = [height * width * channels, *units, num_classes]
    return total + sum(a * b for a, b in itertools.pairwise(widths))


NETWORKS = Networks()
