"""What MLflow is told of a stage: the question, the data, the code and the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("tensorflow", "jax", "keras", "keras-tuner", "optuna", "mlflow", "dvc", "numpy")

# What decides a result. A stage's own outputs are missing while it runs: they would make every run dirty.
DECIDING = (
    "pipeline",
    "studies/*/study.toml",
    "pyproject.toml",
    "requirements.lock",
    "dvc.yaml",
    "params.yaml",
)


@dataclass(frozen=True, kw_only=True)
class StageFacts:
    """What the parent run of a stage says.

    Attributes:
        study: the study's name, and the MLflow experiment's.
        stage: baseline, search or confirm.
        key: a fingerprint; the same stage with the same key is the same parent run, found again after a kill.
        arm: the arm's name, or empty.
        study_text: the study file, kept as study.toml.
        data_card: kept as card.json; "sha256" is the data's, "name" (else the study's) the data set's.
        settings: the stage's settings; they become params.
        environment: code, packages and machine; they become tags.
    """

    study: str
    stage: str
    key: str
    arm: str = ""
    study_text: str = ""
    data_card: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The parent run's name."""
        return f"{self.stage} {self.arm}".strip()

    @property
    def data_sha256(self) -> str:
        """The data's SHA-256, or empty where the card has none."""
        return str(self.data_card.get("sha256", ""))

    @property
    def commit(self) -> str:
        """The git commit, or "unknown"."""
        return self.environment.get("git.commit", "unknown")


def environment(root: Path) -> dict[str, str]:
    """Git commit and whether what decides a result differs from it, package versions, and the machine."""
    return {
        **_git(root),
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "cpus": str(os.cpu_count() or "unknown"),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _git(root: Path) -> dict[str, str]:
    commit = _asked(root, "rev-parse", "HEAD")
    changed = _asked(root, "status", "--porcelain", "--", *DECIDING)
    dirty = "unknown" if commit is None or changed is None else str(bool(changed)).lower()
    return {"git.commit": commit or "unknown", "git.dirty": dirty}


def _asked(root: Path, *words: str) -> str | None:
    """What git answers, or None without git, a repository or a commit."""
    git = shutil.which("git")
    if git is None:
        return None
    try:
        answer = subprocess.run(
            [git, "-C", str(root), *words], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
