"""What this machine trains on, found without importing a framework."""

from __future__ import annotations

import ctypes.util
import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pipeline
from pipeline.errors import StudyError
from pipeline.files import digest

# What Keras may run on here, and the packages that decide its bits.
BACKENDS: Mapping[str, tuple[str, ...]] = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}
# One thread an operation: results change with the number of threads, and small models gain nothing from more.
THREADS = 1
# How many networks of one shape train in one call on an accelerator, which a single one leaves nearly idle.
SLOTS = 32
# Without one of these a backend leaves an NVIDIA accelerator alone, and what installs them.
CUDA: Mapping[str, tuple[str, ...]] = {
    "tensorflow": ("nvidia.cudnn",),
    "jax": ("jax_cuda12_plugin", "jax_cuda13_plugin"),
}
CUDA_EXTRA = {"tensorflow": "keras-study[gpu]", "jax": "jax[cuda12]"}
NVIDIA = Path("/proc/driver/nvidia/gpus")


def backend() -> str:
    """What Keras runs on: KERAS_BACKEND in the environment, else TensorFlow.

    Raises:
        StudyError: it is neither TensorFlow nor JAX, or not installed.
    """
    name, where = os.environ.get("KERAS_BACKEND") or "tensorflow", "KERAS_BACKEND"
    if name not in BACKENDS:
        raise StudyError.of("must be tensorflow or jax.", repr(name), "Change it, or unset it.", where)
    missing = [package for package in BACKENDS[name] if importlib.util.find_spec(package) is None]
    if missing:
        advice = f"Run: pip install -e '.[{name}]', or unset it." if name == "jax" else "Install it again."
        raise StudyError.of(
            f"{name} must be installed.", f"no package {' and no '.join(missing)}", advice, where
        )
    return name


def accelerators() -> dict[str, str]:
    """The names of the NVIDIA accelerators that train here, each by its word in CUDA_VISIBLE_DEVICES.

    Empty on a plain machine, and where Keras' backend cannot use one.
    """
    found = _visible()
    return found if found and _has_cuda() else {}


def unused_accelerators() -> str:
    """Why an NVIDIA accelerator of this machine does not train, in a line; empty: none idles unasked."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not _installed() or accelerators() or (given is not None and given.strip() in ("", "-1")):
        return ""
    if not _visible():
        return f"The GPU is not used: CUDA_VISIBLE_DEVICES={given} names none of this machine."
    name = backend()
    return f'The GPU is not used: {name} is installed without CUDA. Run: pip install "{CUDA_EXTRA[name]}"'


def _installed() -> dict[str, tuple[str, str]]:
    """The accelerators in the machine, each by its index: its UUID and name."""
    found = {}
    for index, information in enumerate(sorted(NVIDIA.glob("*/information"))):
        lines = (line.partition(":") for line in information.read_text().splitlines())
        fields = {field.strip(): value.strip() for field, _, value in lines}
        found[str(index)] = (fields.get("GPU UUID", ""), fields.get("Model", "GPU"))
    return found


def _visible() -> dict[str, str]:
    """Those of them that CUDA_VISIBLE_DEVICES leaves, or all; as CUDA does, up to the first unknown word."""
    installed = _installed()
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    found: dict[str, str] = {}
    for word in installed if given is None else given.split(","):
        name = _name(word.strip(), installed)
        if not name:
            break
        found[word.strip()] = name
    return found


def _name(word: str, installed: Mapping[str, tuple[str, str]]) -> str:
    if word in installed:
        return installed[word][1]
    if word.startswith("MIG-") and installed:
        program = shutil.which("nvidia-smi")
        # Without it, whose part it is and how large cannot be told here; a worker will.
        return _parts(program).get(word, "") if program else "MIG"
    names = (name for uuid, name in installed.values() if word.startswith("GPU-") and uuid.startswith(word))
    return next(names, "")


@cache
def _parts(program: str) -> dict[str, str]:
    """The parts that accelerators are divided into, each by its UUID: whose part, and how large."""
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)
    found, whole = {}, ""
    for line in listed.stdout.splitlines():
        what, _, uuid = line.rstrip(")").partition(" (UUID: ")
        if what.startswith("GPU "):
            whole = what.partition(": ")[2]
        else:
            found[uuid] = f"{whole} {what.partition('Device')[0].strip()}"
    return found


def _has_cuda() -> bool:
    """Whether Keras' backend can use an NVIDIA accelerator, found without importing it."""
    name = backend()
    if any(_is_there(package) for package in CUDA[name]):
        return True
    # A TensorFlow that was built for CUDA also takes the libraries of the system.
    return name == "tensorflow" and ctypes.util.find_library("cudnn") is not None


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    # The package that it should be in is not there.
    except ModuleNotFoundError:
        return False


def machine() -> dict[str, str]:
    """What equal bits may depend on: Keras' backend, processor, kinds of accelerators, threads, slots.

    Raises:
        StudyError: see `backend`.
    """
    return {
        "backend": backend(),
        "processor": _processor(),
        "accelerators": ", ".join(sorted({*accelerators().values()})) or "none",
        "threads": str(THREADS),
        "slots": str(slots()),
    }


def slots() -> int:
    """How many networks of one shape the compiled trainer trains in one call: more than 1 on JAX alone.

    STUDY_SLOTS sets it by hand.

    Raises:
        StudyError: it is no whole number from 1 to 1024.
    """
    if backend() != "jax":
        return 1
    return whole_number("STUDY_SLOTS", 1_024) or (SLOTS if accelerators() else 1)


def program_name(wanted: str) -> str:
    """Which trainer `auto` is; the others are themselves."""
    return "compiled" if wanted == "auto" else wanted


def whole_number(name: str, most: int) -> int | None:
    """What this variable of the environment says; None: nothing."""
    given = os.environ.get(name, "")
    if not given:
        return None
    if not given.isdigit() or not 1 <= int(given) <= most:
        required = f"must be a whole number from 1 to {most}."
        raise StudyError.of(required, repr(given), "Change it, or unset it.", name)
    return int(given)


def _processor() -> str:
    """The processor's name and what tells apart those of one name: model and instruction sets."""
    path = Path("/proc/cpuinfo")
    first = path.read_text().split("\n\n", 1)[0] if path.exists() else ""
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in pairs}
    if "model name" not in fields:
        return platform.processor() or platform.machine()
    sets = digest(sorted(fields.get("flags", "").split()))[:8]
    return f"{fields['model name']}, model {fields.get('model', '?')}, instruction sets {sets}"


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
