"""The compiled epoch beside plain fit for each family of networks, side by side, on one core.

Run     STUDY_RAW_MNIST=<folder of the four MNIST files> python -m benchmarks.families [--repeats 3]
Prints  processor seconds per epoch after a trial's first, and of its start and first epoch, as a table.

Each repeat starts a fresh single-threaded process, in which fit and the compiled epoch train by turns, an
epoch each: what else the machine does meets both. TensorFlow; KERAS_BACKEND=jax measures JAX.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from typing import Any

from benchmarks import floor

NUM_TRAIN, NUM_VAL, NUM_EPOCHS = 6_400, 1_600, 3
PLAIN = {"batch_size": 64}
# By what is told of it: what differs from the family's defaults.
CONFIGURATIONS: Mapping[str, Mapping[str, Any]] = {
    "mlp": {},
    "mlp, dropout, one cycle, smoothed": {"dropout": 0.2, "schedule": "one_cycle", "label_smoothing": 0.1},
    "mlp, adamw": {"optimizer": "adamw"},
    "mlp, sgd with momentum": {"optimizer": "sgd", "momentum": 0.9, "nesterov": "yes"},
    "mlp, rmsprop": {"optimizer": "rmsprop"},
    "mlp, batch normalisation": {"batch_norm": "yes"},
    "mlp, augmentation of the course": {"augmentation": "course"},
    "cnn": {"model": "cnn"},
    "cnn, sgd with momentum": {"model": "cnn", "optimizer": "sgd", "momentum": 0.9},
    "cnn, batch normalisation": {"model": "cnn", "batch_norm": "yes"},
    "cnn, three blocks that stride": {"model": "cnn", "blocks": 3, "pooling": "stride"},
    "rnn, lstm": {"model": "rnn", "recurrent_units": 64},
    "rnn, gru both ways": {"model": "rnn", "recurrent_units": 32, "cell": "gru", "direction": "both"},
    "transformer": {"model": "transformer", "width": 32, "depth": 1},
}


def main() -> None:
    """Measure by turns, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(CONFIGURATIONS), help="names of the table's rows")
    parser.add_argument("--one", choices=tuple(CONFIGURATIONS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "STUDY_RAW_MNIST" not in os.environ:
        parser.error("STUDY_RAW_MNIST must name a folder of the four MNIST files.")
    if options.one:
        print(json.dumps(_side_by_side(CONFIGURATIONS[options.one])))
        return
    print("| processor seconds an epoch | fit | compiled | ratio | start and first epoch: fit | compiled |")
    print("|---|---:|---:|---:|---:|---:|")
    for name in options.only:
        print(_row(name, [_fresh(name) for _ in range(options.repeats)]), flush=True)


def _fresh(name: str) -> dict[str, Any]:
    """What one process of its own measured."""
    command = [sys.executable, "-m", "benchmarks.families", "--one", name]
    environment = {**os.environ, **floor.ENVIRONMENT}
    environment["KERAS_BACKEND"] = os.environ.get("KERAS_BACKEND", "tensorflow")
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def _side_by_side(changes: Mapping[str, Any]) -> dict[str, list[float]]:
    """Processor seconds of start and first epoch, and of each later one, by trainer."""
    from pipeline.learners.networks import NETWORKS
    from pipeline.space import defaults
    from pipeline.training.framework import set_up
    from pipeline.trial import Trial

    set_up(1)
    from benchmarks.trainers import programs

    configuration = {**defaults(NETWORKS.hyperparameters), **PLAIN, **changes}
    trial = Trial(0, {}, configuration, NUM_EPOCHS, ("trial", 0))
    made = programs(("fit", "compiled"), NUM_TRAIN, NUM_VAL)
    found = {name: [_seconds(partial(one.start, trial))] for name, one in made.items()}
    for _ in range(NUM_EPOCHS):
        for name, one in made.items():
            found[name].append(_seconds(partial(one.epoch, 0)))
    return {name: [first + second, *later] for name, (first, second, *later) in found.items()}


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _row(name: str, runs: list[dict[str, Any]]) -> str:
    later = {trainer: [one for run in runs for one in run[trainer][1:]] for trainer in runs[0]}
    first = {trainer: median(run[trainer][0] for run in runs) for trainer in runs[0]}
    ratio = median(later["fit"]) / median(later["compiled"])
    spreads = [f"{median(each):.3f} ({min(each):.3f}-{max(each):.3f})" for each in later.values()]
    starts = " | ".join(f"{seconds:.1f}" for seconds in first.values())
    return f"| {name} | {' | '.join(spreads)} | {ratio:.1f} | {starts} |"


if __name__ == "__main__":
    main()
