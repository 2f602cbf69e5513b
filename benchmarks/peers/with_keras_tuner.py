"""Keras Tuner around `model.fit`: the tuner that RandomSearch is, with an oracle that walks a given list."""

from __future__ import annotations

import sys
from typing import Any

import keras
import keras_tuner  # noqa: TID251  a peer is what people write without the project
from keras_tuner.engine.trial import TrialStatus  # noqa: TID251  likewise

from benchmarks.peers.task import build, hand_in, load, read


class Listed(keras_tuner.Oracle):
    """Proposes the configurations of the list, in its order."""

    def __init__(self, configurations: list[dict[str, Any]]) -> None:
        objective = keras_tuner.Objective("val_accuracy", "max")
        super().__init__(objective=objective, max_trials=len(configurations))
        self._left = [dict(configuration) for configuration in configurations]

    def populate_space(self, trial_id: str) -> dict[str, Any]:  # noqa: ARG002  Keras Tuner's name
        """The next configuration's values."""
        return {"status": TrialStatus.RUNNING, "values": self._left.pop(0)}


class Classifier(keras_tuner.HyperModel):
    """The model, and its fit with a batch size that is searched too."""

    def __init__(self) -> None:
        super().__init__()
        self.tried: list[dict[str, Any]] = []
        self.accuracies: list[float] = []

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
        batch_size = hp.Choice("batch_size", [32, 64, 128])
        history = model.fit(*args, batch_size=batch_size, **kwargs)
        self.tried.append({**hp.values, "batch_size": batch_size})
        self.accuracies.append(history.history["val_accuracy"][-1])
        return history


def main() -> None:
    """Try every configuration of the list, in its order."""
    task = read()
    (train_images, train_labels), val = load(task)
    classifier = Classifier()
    tuner = keras_tuner.Tuner(
        Listed(task["configurations"]), classifier, directory="tuner", project_name="peers"
    )
    tuner.search(train_images, train_labels, epochs=task["epochs"], validation_data=val, verbose=0)
    if classifier.tried != task["configurations"]:
        sys.exit("Keras Tuner has not tried the list as it is.")
    hand_in(classifier.accuracies)


if __name__ == "__main__":
    main()
