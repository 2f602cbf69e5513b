"""Variables of the environment that move results: held to one value, or taken away, in every process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pipeline
from pipeline.training.machine import backend

HELD = {
    # Bits change with the number of threads; the last is asked by JAX.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NPROC": "1",
    # A set's order, and with it what a user's own model makes of one.
    "PYTHONHASHSEED": "0",
}
# Of NumPy, BLAS, oneDNN, CUDA, XLA, TensorFlow, JAX, Keras, Python and the C library: kernels, instruction
# sets, precision, threads, and what is an error. Their defaults are what equal bits are promised for.
MOVING = (
    *("BLIS_", "DNNL_", "GLIBC_TUNABLES", "GOMP_", "GOTO_", "KMP_", "MKL_", "NPY_", "OMP_", "ONEDNN_"),
    *("OPENBLAS_", "CUBLAS", "CUDNN_", "NVIDIA_TF32_OVERRIDE", "JAX_", "TF_", "XLA_"),
    *("KERAS_MAX_", "KERAS_NNX_", "PYTHONOPTIMIZE", "PYTHONWARNINGS"),
)
# Of these families, what is written to a log and how memory is taken; and Terraform's variables.
HARMLESS = (
    # scikit-learn sets these two itself, for what loads OpenMP twice or forks.
    *("KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"),
    *("TF_CPP_", "TF_FORCE_GPU_ALLOW_GROWTH", "TF_GPU_ALLOCATOR", "XLA_PYTHON_CLIENT_"),
    *("TF_APPEND_", "TF_CLI_", "TF_DATA_DIR", "TF_IN_", "TF_LOG", "TF_PLUGIN_", "TF_TOKEN_", "TF_VAR_"),
    "TF_WORKSPACE",
)


def overridden(given: Mapping[str, str]) -> list[str]:
    """The given variables that would move results and are not taken over, in order."""
    moving = [name for name in given if name.startswith(MOVING) and not name.startswith(HARMLESS)]
    return sorted(name for name in {*moving, *HELD} & {*given} if given[name] != HELD.get(name))


def hold() -> None:
    """Hold the variables of this process.

    NumPy and the frameworks read them once: they must not have been loaded.
    """
    for name in overridden(os.environ):
        del os.environ[name]
    os.environ.update(HELD)


def of_child(own: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process that computes: `own` over what is held, this package first on its path."""
    # The parent's own package, whatever stands in the folder that it was started in.
    paths = [str(Path(pipeline.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    path = {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    given = {name: value for name, value in os.environ.items() if name not in overridden(os.environ)}
    # Keras would ask its file in the home folder what it runs on.
    chosen = {"KERAS_BACKEND": backend(), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {**given, **HELD, **path, **chosen, **own}
