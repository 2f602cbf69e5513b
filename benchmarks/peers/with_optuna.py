"""Optuna around `model.fit`, as its tutorials write it; --tuned: as one who knows Keras well does."""

from __future__ import annotations

import sys
from typing import Any

import keras
import optuna  # noqa: TID251  a peer is what people write without the project

from benchmarks.peers.task import build, hand_in, load, read


def main(is_tuned: bool) -> None:
    """Try every configuration of the list, in its order."""
    task = read()
    (train_images, train_labels), val = load(task)
    compiling: dict[str, Any] = {}
    if is_tuned:
        compiling = {"steps_per_execution": 50}
        if keras.backend.backend() == "tensorflow":
            # XLA takes longer to compile than it saves on a CPU; on JAX there is nothing without it.
            compiling["jit_compile"] = False

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        batch_size = trial.suggest_categorical("batch_size", [32, 64, 128])
        configuration = {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "hidden_layers": trial.suggest_int("hidden_layers", 1, 3),
            "hidden_units": trial.suggest_int("hidden_units", 64, 512, step=64),
        }
        report = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: trial.report(logs["val_accuracy"], epoch)
        )
        history = build(configuration, **compiling).fit(
            train_images,
            train_labels,
            batch_size=batch_size,
            epochs=task["epochs"],
            validation_data=val,
            callbacks=[report],
            verbose=0,
        )
        return float(history.history["val_accuracy"][-1])

    study = optuna.create_study(storage="sqlite:///optuna.db", study_name="peers", direction="maximize")
    for configuration in task["configurations"]:
        study.enqueue_trial(configuration)
    study.optimize(objective, n_trials=len(task["configurations"]))
    if [trial.params for trial in study.trials] != task["configurations"]:
        sys.exit("Optuna has not tried the list as it is.")
    hand_in([trial.value or 0.0 for trial in study.trials])


if __name__ == "__main__":
    main("--tuned" in sys.argv)
