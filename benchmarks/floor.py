"""What training must cost on one core: its products of matrices and Adam's traffic, at the core's best rates.

Run     python -m benchmarks.floor FOLDER
Prints  seconds of each configuration's epoch as JSON, [products, traffic]; FOLDER holds the task.json of
        `benchmarks.peers`. The process must be single-threaded (ENVIRONMENT).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Any

NUM_PIXELS, NUM_CLASSES = 784, 10
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
    "KERAS_BACKEND": "tensorflow",
}
# What a step must move for each parameter: Adam reads weight, gradient and two moments and writes all but the
# gradient; before it the products read the weight and write the gradient. Nine float32.
ADAM_BYTES = 36
REPEATS = 5


def main() -> None:
    """Measure the shapes of the list, print a pair for each of its configurations."""
    from pipeline.training.framework import set_up

    set_up(1)
    task = json.loads((Path(sys.argv[1]) / "task.json").read_text())
    sizes = json.loads((Path(task["data_folder"]) / "card.json").read_text())["num_images"]
    print(json.dumps([epoch(one, sizes["train"], sizes["val"]) for one in task["configurations"]]))


def epoch(configuration: Mapping[str, Any], num_train: int, num_val: int) -> tuple[float, float]:
    """Seconds that an epoch's products, and then its steps' traffic, take at this core's best rates."""
    size, units = int(configuration["batch_size"]), int(configuration["hidden_units"])
    depth = int(configuration["hidden_layers"])
    widths = [NUM_PIXELS, *[units] * depth, NUM_CLASSES]
    products = 0.0
    for layer, (rows, columns) in enumerate(pairwise(widths)):
        # Ten columns alone are slower each; they are counted at a wide product's rate, as a floor may.
        wide = max(columns, units)
        forward = rows * columns / product_rate((size, rows), (rows, wide), False)
        backward = rows * columns / product_rate((size, rows), (size, wide), True)
        # No slope is needed for the pixels, but one for the hidden units.
        products += (num_train + num_val) * forward + num_train * (backward + forward * (layer > 0))
    num_parameters = sum((rows + 1) * columns for rows, columns in pairwise(widths))
    return products, ceil(num_train / size) * ADAM_BYTES * num_parameters / byte_rate()


@cache
def product_rate(left_shape: tuple[int, int], right_shape: tuple[int, int], transposed: bool) -> float:
    """Multiply-adds a second of products of this shape, the first factor transposed or not."""
    import tensorflow as tf

    left, right = tf.random.normal(left_shape), tf.random.normal(right_shape)
    multiply_adds = left_shape[0] * left_shape[1] * right_shape[1]
    count = ceil(5e8 / multiply_adds)

    def products(left: Any, right: Any) -> Any:
        def body(index: Any, before: Any) -> Any:
            # Else the product would be taken once, outside the loop.
            with tf.control_dependencies([before]):
                product = tf.matmul(tf.identity(left), right, transpose_a=transposed)
            return index + 1, product[0, 0]

        return tf.while_loop(lambda index, _: index < count, body, (0, 0.0))

    compiled = tf.function(products, autograph=False)
    compiled(left, right)
    return count * multiply_adds / min(_seconds(partial(compiled, left, right)) for _ in range(REPEATS))


@cache
def byte_rate() -> float:
    """Bytes a second that one core adds up in arrays as large as the weights of 128 units."""
    import numpy as np

    first, second = np.ones((2, NUM_PIXELS * 128), np.float32)

    def add() -> None:
        for _ in range(200):
            np.add(first, second, out=first)

    return float(200 * 3 * first.nbytes) / min(_seconds(add) for _ in range(REPEATS))


def _seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
