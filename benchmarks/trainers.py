"""Plain fit and the compiled trainers on the same trials, by turns, beside the floor of arithmetic.

Run     STUDY_RAW_MNIST=<folder of the four MNIST files> python -m benchmarks.trainers [--repeats 3]
Prints  seconds per epoch after a trial's first, on one core, by configuration; the whole list's totals.

Each repeat starts a fresh single-threaded process for each trainer; JAX compiles everything anew in it.
Processor time is what the trainer costs; wall time also holds what else the machine was doing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import floor

NUM_TRAIN, NUM_VAL, NUM_EPOCHS = 48_000, 12_000, 3
UNITS, BATCH_SIZES = (64, 128, 256, 512), (32, 64, 128)
RATES, DROPOUTS = (0.0005, 0.001, 0.002), (0.0, 0.2)
# The plain one is TensorFlow's: Keras' default backend, and the one that the README compares with.
BACKENDS = {"fit": "tensorflow", "compiled": "tensorflow", "jax": "jax", "floor": "tensorflow"}
TRAINERS = ("fit", "compiled", "jax")

Json = dict[str, Any]


def configurations() -> list[dict[str, float]]:
    """The twelve configurations: every width with every batch size, rates and dropout by turns."""
    return [
        {
            "hidden_units": units,
            "batch_size": size,
            "learning_rate": RATES[index % len(RATES)],
            "dropout": DROPOUTS[index % len(DROPOUTS)],
        }
        for index, (units, size) in enumerate(product(UNITS, BATCH_SIZES))
    ]


def main() -> None:
    """Measure by turns, then print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=tuple(BACKENDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if "STUDY_RAW_MNIST" not in os.environ:
        parser.error("STUDY_RAW_MNIST must name a folder of the four MNIST files.")
    if options.one:
        print(json.dumps(_floors() if options.one == "floor" else _train(options.one)))
        return
    runs: dict[str, list[Json]] = {name: [] for name in BACKENDS}
    for repeat in range(options.repeats):
        for name, results in runs.items():
            results.append(_fresh(name))
            print(f"repeat {repeat + 1}: {name} measured", file=sys.stderr)
    _print_epochs(runs)
    _print_totals(runs)


def _fresh(name: str) -> Json:
    """What one process of its own measured."""
    command = [sys.executable, "-m", "benchmarks.trainers", "--one", name]
    environment = {**os.environ, **floor.ENVIRONMENT, "KERAS_BACKEND": BACKENDS[name]}
    answer = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, text=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def _train(name: str) -> Json:
    """Seconds of every epoch of the twelve trials, and of the whole process since its start."""
    from pipeline.learners.networks import NETWORKS
    from pipeline.space import defaults
    from pipeline.training.framework import set_up
    from pipeline.trial import Trial

    set_up(1)
    program, plain = programs((name,), NUM_TRAIN, NUM_VAL)[name], defaults(NETWORKS.hyperparameters)
    trials = []
    for number, changes in enumerate(configurations()):
        began = time.perf_counter(), time.process_time()
        program.start(Trial(number, {}, {**plain, **changes}, NUM_EPOCHS, ("trial", number)))
        started = time.perf_counter() - began[0], time.process_time() - began[1]
        epochs = [_timed(partial(program.epoch, number)) for _ in range(NUM_EPOCHS)]
        program.drop(number)
        trials.append({"start": started, "epochs": [epoch[:2] for epoch in epochs], "metrics": epochs[-1][2]})
    return {"trials": trials, "cpu": time.process_time(), "memory_mb": _memory_mb()}


def programs(names: Sequence[str], num_train: int, num_val: int) -> dict[str, Any]:
    """Plain fit, and by any other name the compiled program, each with the first images of MNIST."""
    from pipeline.data.idx import read_idx
    from pipeline.learners.networks import NETWORKS
    from pipeline.training.compiled import Compiled
    from pipeline.training.fit import Fit

    folder = Path(os.environ["STUDY_RAW_MNIST"])
    images = read_idx(folder / "train-images-idx3-ubyte.gz", (28, 28))[..., None]
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz", ()).astype("int64")
    train, val = (
        (images[part], labels[part]) for part in (slice(num_train), slice(num_train, num_train + num_val))
    )
    kinds = {name: Fit if name == "fit" else Compiled for name in names}
    return {name: kind(NETWORKS, train, val, floor.NUM_CLASSES, 1) for name, kind in kinds.items()}


def _timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, processor seconds, and what the work gave."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def _memory_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _floors() -> Json:
    """Seconds of each configuration's epoch: products, traffic."""
    from pipeline.training.framework import set_up

    set_up(1)
    return {
        "epochs": [floor.epoch({**one, "hidden_layers": 1}, NUM_TRAIN, NUM_VAL) for one in configurations()]
    }


def _later_epochs(runs: list[Json], number: int, clock: int) -> list[float]:
    """Seconds of each epoch after the first, by clock 0 (wall) or 1 (processor)."""
    return [epoch[clock] for run in runs for epoch in run["trials"][number]["epochs"][1:]]


def _print_epochs(runs: dict[str, list[Json]]) -> None:
    print("Processor seconds per epoch after the first: median (lowest-highest)")
    print(
        "units batch dropout | fit                 | compiled            | ratio | on JAX              "
        "| products +Adam | compiled / floor"
    )
    for number, changes in enumerate(configurations()):
        fit, compiled, on_jax = (_later_epochs(runs[name], number, 1) for name in TRAINERS)
        products, traffic = (min(run["epochs"][number][which] for run in runs["floor"]) for which in (0, 1))
        over = median(compiled) / (products + traffic)
        words = f"{changes['hidden_units']:5} {changes['batch_size']:5} {changes['dropout']:7} "
        words += f"| {_spread(fit)} | {_spread(compiled)} | {median(fit) / median(compiled):5.1f} "
        words += f"| {_spread(on_jax)} "
        print(f"{words}| {products:8.3f} {traffic:5.3f} | {over:5.2f}")


def _spread(seconds: list[float]) -> str:
    return f"{median(seconds):5.3f} ({min(seconds):5.3f}-{max(seconds):5.3f})"


def _print_totals(runs: dict[str, list[Json]]) -> None:
    print("\nAll trials in one process, tracing included, import excluded: median (lowest-highest)")
    totals: dict[str, dict[int, list[float]]] = {}
    for name in TRAINERS:
        totals[name] = {clock: [_total(run, clock) for run in runs[name]] for clock in (0, 1)}
        wall, cpu = totals[name][0], totals[name][1]
        rate = 3600 * len(configurations()) / median(cpu)
        memory = max(run["memory_mb"] for run in runs[name])
        print(f"{name:9} wall {_spread(wall)} s, processor {_spread(cpu)} s, {memory:.0f} MB, ", end="")
        print(f"{rate:.0f} trials an hour and core")
    for name, (clock, word) in product(TRAINERS[1:], enumerate(("wall", "processor"))):
        ratios = [old / new for old, new in zip(totals["fit"][clock], totals[name][clock], strict=True)]
        print(f"fit / {name} by {word}: {median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})")


def _total(run: Json, clock: int) -> float:
    parts = [[trial["start"], *trial["epochs"]] for trial in run["trials"]]
    return float(sum(part[clock] for trial in parts for part in trial))


if __name__ == "__main__":
    main()
