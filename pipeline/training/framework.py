"""TensorFlow set up for equal bits: one thread an operation, growing GPU memory, deterministic kernels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline import data
from pipeline.training.worker import Program


def open_program(settings: dict[str, Any]) -> tuple[Program, str]:
    """The program that the settings name, and the device that it runs on, in words."""
    device = set_up(settings["threads"])
    from pipeline.training.compiled import Compiled
    from pipeline.training.fit import Fit

    splits = data.load(Path(settings["data_folder"]), ("train", "val"))
    make = Fit if settings["trainer"] == "fit" else Compiled
    return make(splits["train"], splits["val"], settings["num_classes"], settings["seed"]), device


def set_up(threads: int) -> str:
    """Prepare TensorFlow in this process; the device in words.

    Results change with the number of threads, so it is set here and never left to the machine.
    """
    import keras
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    accelerators = tf.config.list_physical_devices("GPU")
    for accelerator in accelerators:
        tf.config.experimental.set_memory_growth(accelerator, enable=True)
    # Every draw of ours has a seed of its own; this one is for draws that we have overlooked.
    keras.utils.set_random_seed(1)
    if not accelerators:
        return "CPU"
    # On a CPU with fixed threads the bits are equal without it; a GPU needs it.
    tf.config.experimental.enable_op_determinism()
    details = tf.config.experimental.get_device_details(accelerators[0])
    return str(details.get("device_name", "GPU"))
