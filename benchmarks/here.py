"""Where a figure was measured, and where it is kept."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pipeline.training import machine

PACKAGES = ("tensorflow", "keras", "keras-tuner", "optuna", "mlflow", "jax", "ray", "numpy")
HOME = Path(__file__).parent


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def facts() -> dict[str, Any]:
    """The machine, as results.json has it."""
    return {**machine(), "cores": num_cores(), "system": platform.platform()}


def versions() -> dict[str, str]:
    """Versions of Python, of the packages that are installed, and of this project."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    command = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=False).stdout.strip()
    return {**found, "project": commit or "unknown"}


def sentence(about: Mapping[str, Any], found: Mapping[str, str]) -> str:
    """Machine and versions in words."""
    return (
        f"{about['processor']}, {about['cores']} cores, accelerators: {about['accelerators']}. "
        + ", ".join(f"{name} {number}" for name, number in found.items())
        + "."
    )


def keep(folder: Path, figures: Mapping[str, Any]) -> None:
    """Put figures into the folder's results.json; what other benchmarks wrote there stays."""
    path = folder / "results.json"
    others = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**others, **figures}, indent=1) + "\n")
