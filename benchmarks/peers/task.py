"""What the peers' programs share: the list, the images in memory, the model, the handing in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Split = tuple[Floats, NDArray[np.int64]]

Task = dict[str, Any]


def read() -> Task:
    """The `configurations`, the `epochs` and the `data_folder`."""
    return dict(json.loads(Path("task.json").read_text()))


def load(task: Task) -> tuple[Split, Split]:
    """Train and val in memory: images (num_images, 28, 28, 1), float32, 0-1, and labels."""
    folder = Path(task["data_folder"])
    train, val = (
        (
            np.load(folder / f"{split}_images.npy").astype("float32") / 255,
            np.load(folder / f"{split}_labels.npy"),
        )
        for split in ("train", "val")
    )
    return train, val


def build(configuration: Mapping[str, Any], **compiling: Any) -> keras.Model:
    """The classifier of a configuration; `compiling` goes to `compile`."""
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    for _ in range(configuration["hidden_layers"]):
        model.add(keras.layers.Dense(configuration["hidden_units"], activation="relu"))
        model.add(keras.layers.Dropout(configuration["dropout"]))
    model.add(keras.layers.Dense(10, activation="softmax"))
    model.compile(
        optimizer=keras.optimizers.Adam(configuration["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **compiling,
    )
    return model


def hand_in(accuracies: Sequence[float]) -> None:
    """Write the validation accuracy after each configuration's last epoch, in the order of the list."""
    Path("val_accuracy.json").write_text(json.dumps([float(value) for value in accuracies]))
