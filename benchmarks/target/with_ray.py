"""Ray Tune's ASHA around `model.fit`: as many trials at a time as there are cores, its own default."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from ray import tune  # noqa: TID251  a peer is what people write without the project
from ray.tune.schedulers import ASHAScheduler  # noqa: TID251  likewise

from benchmarks.peers.task import Split, load, read


def train(config: dict[str, Any], epochs: int, folder: Path, train_split: Split, val_split: Split) -> None:
    """One trial, in a process of Ray's."""
    import keras

    from benchmarks.peers.task import build
    from benchmarks.target.progress import watch

    report = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: tune.report({"val_accuracy": logs["val_accuracy"]})
    )
    build(config).fit(
        *train_split,
        batch_size=config["batch_size"],
        epochs=epochs,
        validation_data=val_split,
        callbacks=[watch(folder), report],
        verbose=0,
    )


def main() -> None:
    """Search until the harness ends it."""
    task = read()
    random.seed(task["seed"])
    train_split, val_split = load(task)
    trainable = tune.with_parameters(
        train, epochs=task["epochs"], folder=Path.cwd(), train_split=train_split, val_split=val_split
    )
    tune.Tuner(
        trainable,
        param_space={
            "learning_rate": tune.loguniform(1e-4, 1e-2),
            "dropout": tune.uniform(0.0, 0.5),
            "hidden_layers": tune.randint(1, 4),
            "hidden_units": tune.qrandint(64, 512, 64),
            "batch_size": tune.choice([32, 64, 128]),
        },
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            num_samples=1_000,
            scheduler=ASHAScheduler(max_t=task["epochs"], grace_period=1, reduction_factor=3),
        ),
        run_config=tune.RunConfig(name="target", storage_path=str(Path.cwd() / "ray"), verbose=0),
    ).fit()


if __name__ == "__main__":
    main()
