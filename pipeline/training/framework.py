"""Keras' backend set up for equal bits: one thread, growing GPU memory, deterministic kernels."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import data
from pipeline.errors import StudyError
from pipeline.study import DataShape
from pipeline.training import scored
from pipeline.training.program import Builder, Program
from pipeline.training.surroundings import accelerators, backend, slots

XLA_FLAGS = "--xla_cpu_multi_thread_eigen=false --xla_gpu_deterministic_ops=true"


def open_program(builder: Builder, settings: Mapping[str, Any]) -> tuple[Program, str]:
    """The program that the settings name for models of the builder's, and the device, in words."""
    device = set_up(settings["threads"], settings["compiled_folder"])
    folder = Path(settings["data_folder"])
    splits, shape = data.load(folder, ("train", "val")), DataShape.of(data.load_card(folder))
    builder = builder.given(shape)
    return scored.wrapped(_program(builder, settings, splits), settings, splits["val"]), device


def _program(builder: Builder, settings: Mapping[str, Any], splits: Mapping[str, Any]) -> Program:
    arguments = (builder, splits["train"], splits["val"], settings["num_classes"], settings["seed"])
    if settings["trainer"] == "fit":
        from pipeline.training.fit import Fit

        return Fit(*arguments)
    from pipeline.training.compiled import Compiled

    return Compiled(*arguments, slots=slots())


def set_up(threads: int, compiled_folder: str | None = None) -> str:
    """Prepare Keras' backend in this process; the device in words.

    Results change with the number of threads, so it is set here and never left to the machine.

    Args:
        compiled_folder: where JAX keeps compiled programs, so that none is compiled twice on one machine.

    Raises:
        StudyError: there is an accelerator, the record's key says so, and the backend does not find it.
    """
    device = _set_up_jax(threads, compiled_folder) if backend() == "jax" else _set_up_tensorflow(threads)
    hold_keras()
    if device == "CPU" and accelerators():
        must, advice = (
            f"{backend()} must find the GPU.",
            "Mend its driver, or train on the CPU: set it to -1.",
        )
        raise StudyError.of(must, "the CPU alone", advice, "CUDA_VISIBLE_DEVICES")
    return device


@cache
def hold_keras() -> None:
    """Set Keras as it comes, whatever keras.json in the home folder says.

    Once a process: what the user's own model file sets after it stands.
    """
    from pipeline.training.lean import keras

    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")


def _set_up_tensorflow(threads: int) -> str:
    hold_keras()
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


def _set_up_jax(threads: int, compiled_folder: str | None) -> str:
    # XLA asks this variable, and nothing else, how many threads its pool has.
    os.environ["NPROC"] = str(threads)
    os.environ["XLA_FLAGS"] = XLA_FLAGS
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
    import jax

    if compiled_folder:
        Path(compiled_folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        config: Any = jax.config
        config.update("jax_compilation_cache_dir", compiled_folder)
        # The many small programs around an epoch take longer to compile, together, than the epoch.
        config.update("jax_persistent_cache_min_compile_time_secs", 0)
        config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    # For draws that we have overlooked; Keras' own function for it would import TensorFlow.
    random.seed(1)
    np.random.seed(1)
    [first, *_] = jax.devices()
    return "CPU" if first.platform == "cpu" else str(first.device_kind)
