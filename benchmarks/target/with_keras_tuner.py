"""Keras Tuner's Hyperband, as its guide writes it."""

from __future__ import annotations

from pathlib import Path

import keras_tuner  # noqa: TID251  a peer is what people write without the project

from benchmarks.peers.task import load, read
from benchmarks.peers.with_keras_tuner import Classifier
from benchmarks.target.progress import watch


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
