"""Optuna's TPE with its median pruner around `model.fit`, as its tutorials write it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import optuna  # noqa: TID251  a peer is what people write without the project

from benchmarks.peers.task import build, load, read
from benchmarks.target.progress import BATCH_SIZES, watch


class Pruning(keras.callbacks.Callback):
    """Reports each epoch, and raises where the pruner gives the trial up."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self._trial = trial

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Ask the pruner."""
        self._trial.report((logs or {})["val_accuracy"], epoch)
        if self._trial.should_prune():
            raise optuna.TrialPruned


def main() -> None:
    """Search until the harness ends it."""
    task = read()
    (images, labels), val = load(task)

    def objective(trial: optuna.Trial) -> float:
        keras.backend.clear_session()
        configuration = {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "hidden_layers": trial.suggest_int("hidden_layers", 1, 3),
            "hidden_units": trial.suggest_int("hidden_units", 64, 512, step=64),
        }
        history = build(configuration).fit(
            images,
            labels,
            batch_size=trial.suggest_categorical("batch_size", BATCH_SIZES),
            epochs=task["epochs"],
            validation_data=val,
            callbacks=[watch(Path.cwd()), Pruning(trial)],
            verbose=0,
        )
        return float(history.history["val_accuracy"][-1])

    study = optuna.create_study(
        storage="sqlite:///optuna.db",
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=task["seed"]),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.optimize(objective, n_trials=1_000)


if __name__ == "__main__":
    main()
