"""What a device gains by training many networks of one shape in one call, on JAX.

Run     python -m benchmarks.packed [--slots 1 8 32 128] [--units 128] [--batch-size 128] [--images 48000]
Prints  for plain fit and for each number of slots: seconds per trial and epoch, times fit, and the share of
        the floor of memory traffic (weights, moments and slopes of every step, at the measured bandwidth).

All run on the first device that JAX finds, in this process; the images are noise of MNIST's size. On a GPU
this decides SLOTS in pipeline/training/machine.py; on a CPU, where one network fills a core,
it gains little.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import numpy as np

from benchmarks.floor import ADAM_BYTES, NUM_CLASSES, NUM_PIXELS
from pipeline.learners.networks import NETWORKS
from pipeline.space import defaults
from pipeline.training import THREADS
from pipeline.training.framework import set_up
from pipeline.trial import Trial

SHAPE, NUM_VAL = (28, 28, 1), 12_000
EPOCHS = 3
BANDWIDTH_BYTES = 1 << 28


def main() -> None:
    """Time fit, then each number of slots; print a line for each."""
    options = _options()
    device = set_up(THREADS)
    from pipeline.training.compiled import Compiled
    from pipeline.training.fit import Fit

    data = (NETWORKS, _noise(options.images, 1), _noise(NUM_VAL, 2), NUM_CLASSES, 1)
    num_parameters = (NUM_PIXELS + 1) * options.units + (options.units + 1) * NUM_CLASSES
    num_steps = -(-options.images // options.batch_size)
    floor = num_parameters * ADAM_BYTES * num_steps / _bandwidth()
    print(f"{device}; {options.units} units, batch {options.batch_size}, {options.images:,} images; seconds")
    print(f"floor of memory traffic   {floor:.5f} a trial and epoch")
    alone = _seconds(Fit(*data), 1, options)
    print(f"plain fit                 {alone:.5f}")
    for slots in options.slots:
        each = _seconds(Compiled(*data, slots=slots), slots, options) / slots
        print(f"{slots:4} slots                {each:.5f}   {alone / each:6.1f} times fit, ", end="")
        print(f"{100 * floor / each:.1f} % of the floor's rate", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--units", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--images", type=int, default=48_000)
    return parser.parse_args()


def _noise(num_images: int, seed: int) -> tuple[Any, Any]:
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (num_images, *SHAPE), dtype=np.uint8)
    return images, generator.integers(0, NUM_CLASSES, num_images)


def _seconds(program: Any, num_trials: int, options: argparse.Namespace) -> float:
    """Seconds of an epoch of all trials, the median of those after the first."""
    changes = {"hidden_units": options.units, "batch_size": options.batch_size, "dropout": 0.2}
    numbers = list(range(num_trials))
    for number in numbers:
        rate = {"learning_rate": 1e-3 * (1 + number / num_trials)}
        program.start(
            Trial(
                number,
                {},
                {**defaults(NETWORKS.hyperparameters), **changes, **rate},
                1 + EPOCHS,
                ("trial", number),
            )
        )
    program.epochs(numbers)
    return median(_timed(lambda: program.epochs(numbers)) for _ in range(EPOCHS))


def _timed(work: Callable[[], Any]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _bandwidth() -> float:
    """Bytes a second that an addition to a large array reads and writes."""
    import jax
    import jax.numpy as jnp

    array = jnp.zeros(BANDWIDTH_BYTES // 4)
    add = jax.jit(lambda array: array + 1)
    add(array).block_until_ready()
    return 2 * BANDWIDTH_BYTES / min(_timed(lambda: add(array).block_until_ready()) for _ in range(5))


if __name__ == "__main__":
    main()
