"""Ray Tune around `model.fit`: as many trials at a time as there are cores, its own default."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from ray import tune  # noqa: TID251  a peer is what people write without the project

from benchmarks.peers.task import Split, hand_in, load, read


def train(config: dict[str, Any], epochs: int, train_split: Split, val_split: Split) -> None:
    """One trial, in a process of Ray's."""
    import keras

    from benchmarks.peers.task import build

    configuration = config["configuration"]
    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: tune.report({"val_accuracy": logs["val_accuracy"]})
    )
    build(configuration).fit(
        *train_split,
        batch_size=configuration["batch_size"],
        epochs=epochs,
        validation_data=val_split,
        callbacks=[report],
        verbose=0,
    )


def main() -> None:
    """Try every configuration of the list."""
    task = read()
    train_split, val_split = load(task)
    trainable = tune.with_parameters(
        train, epochs=task["epochs"], train_split=train_split, val_split=val_split
    )
    results = tune.Tuner(
        trainable,
        param_space={"configuration": tune.grid_search(task["configurations"])},
        tune_config=tune.TuneConfig(metric="val_accuracy", mode="max"),
        run_config=tune.RunConfig(name="peers", storage_path=str(Path.cwd() / "ray"), verbose=0),
    ).fit()
    if results.errors:
        sys.exit(f"{len(results.errors)} of Ray Tune's trials failed: {results.errors[0]}")
    found = [(result.config["configuration"], result.metrics["val_accuracy"]) for result in results]
    hand_in([next(value for one, value in found if one == wanted) for wanted in task["configurations"]])


if __name__ == "__main__":
    main()
