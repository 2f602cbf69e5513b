"""What this machine trains on, found without importing a framework."""

from __future__ import annotations

import importlib.util
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import StudyError
from pipeline.files import digest

# What Keras may run on here, and the packages that decide its bits.
BACKENDS: Mapping[str, tuple[str, ...]] = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}
# One thread an operation: results change with the number of threads, and small models gain nothing from more.
THREADS = 1
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


def accelerators() -> list[str]:
    """The NVIDIA accelerators' names that this process may use, in their order; empty on a plain machine."""
    names = []
    for information in sorted(NVIDIA.glob("*/information")):
        fields = dict(line.split(":", 1) for line in information.read_text().splitlines() if ":" in line)
        names.append(fields.get("Model", "GPU").strip())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return names
    chosen = [int(index) for index in visible.split(",") if index.strip().isdigit()]
    return [names[index] for index in chosen if index < len(names)]


def machine() -> dict[str, str]:
    """What equal bits may depend on: Keras' backend, processor, accelerators, threads.

    Raises:
        StudyError: see `backend`.
    """
    return {
        "backend": backend(),
        "processor": _processor(),
        "accelerators": ", ".join(accelerators()) or "none",
        "threads": str(THREADS),
    }


def places(most: int) -> list[Mapping[str, str]]:
    """One environment per worker: one worker an accelerator, else one a core, at most `most`.

    The number of workers changes no result. STUDY_WORKERS sets it by hand.
    """
    found = accelerators()
    if found:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if found else []
        indices = [index.strip() for index in visible if index.strip().isdigit()]
        indices = indices or [str(index) for index in range(len(found))]
        return [{"CUDA_VISIBLE_DEVICES": index} for index in indices[:most]]
    return [{"CUDA_VISIBLE_DEVICES": "-1"} for _ in range(min(_num_workers(), most))]


def program_name(wanted: str) -> str:
    """Which trainer `auto` is; the others are themselves."""
    return "compiled" if wanted == "auto" else wanted


def _num_workers() -> int:
    given = os.environ.get("STUDY_WORKERS", "")
    if not given:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdigit() or not 1 <= int(given) <= 256:
        raise StudyError.of(
            "must be a whole number from 1 to 256.", repr(given), "Change it, or unset it.", "STUDY_WORKERS"
        )
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
