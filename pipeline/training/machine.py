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
# How many networks of one shape train in one call on an accelerator, which a single one leaves nearly idle.
SLOTS = 32
# Without one of them JAX leaves an NVIDIA accelerator alone.
JAX_PLUGINS = ("jax_cuda12_plugin", "jax_cuda13_plugin")
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
    """What equal bits may depend on: Keras' backend, processor, accelerators, threads, slots.

    Raises:
        StudyError: see `backend`.
    """
    return {
        "backend": backend(),
        "processor": _processor(),
        "accelerators": ", ".join(accelerators()) or "none",
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
    is_used = accelerators() and any(importlib.util.find_spec(plugin) for plugin in JAX_PLUGINS)
    return whole_number("STUDY_SLOTS", 1_024) or (SLOTS if is_used else 1)


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
