"""Keras Tuner's Hyperband, as its guide writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import keras_tuner  # noqa: TID251  a peer is what people write without the project

from benchmarks.peers.task import build, load, read
from benchmarks.target.progress import BATCH_SIZES, watch


class Classifier(keras_tuner.HyperModel):
    """The model, and its fit with a batch size that is searched too."""

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """The model of the trial's hyperparameters."""
        return build(
            {
                "learning_rate": hp.Float("learning_rate", 1e-4, 1e-2, sampling="log"),
                "dropout": hp.Float("dropout", 0.0, 0.5),
                "hidden_layers": hp.Int("hidden_layers", 1, 3),
                "hidden_units": hp.Int("hidden_units", 64, 512, step=64),
            }
        )

    def fit(self, hp: keras_tuner.HyperParameters, model: keras.Model, *args: Any, **kwargs: Any) -> Any:
        """Train the model by the trial's batch size."""
        return model.fit(*args, batch_size=hp.Choice("batch_size", BATCH_SIZES), **kwargs)


def main() -> None:
    """Search until the harness ends it."""
    task = read()
    (images, labels), val = load(task)
    tuner = keras_tuner.Hyperband(
        Classifier(),
        objective="val_accuracy",
        max_epochs=task["epochs"],
        hyperband_iterations=10,
        seed=task["seed"],
        directory="tuner",
        project_name="target",
    )
    # Keras Tuner copies its callbacks for every trial.
    tuner.search(images, labels, validation_data=val, callbacks=[watch(Path.cwd())], verbose=0)


if __name__ == "__main__":
    main()
