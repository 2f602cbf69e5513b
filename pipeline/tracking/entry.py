"""What MLflow is told of a stage and of its trials: facts and outcomes in MLflow's terms, without MLflow."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import shortened
from pipeline.trial import Outcome

if TYPE_CHECKING:
    from mlflow.entities import Run

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
PACKAGES = ("tensorflow", "jax", "keras", "keras-tuner", "optuna", "mlflow", "dvc", "numpy")
# MLflow refuses longer ones.
MAX_PARAM, MAX_TAG = 6_000, 1_000

# What decides a result. A stage's own outputs are missing while it runs: they would make every run dirty.
DECIDING = (
    "pipeline",
    "studies/*/study.toml",
    "pyproject.toml",
    "requirements.lock",
    "dvc.yaml",
    "params.yaml",
)


def place_of(stage: str, key: str, arm: str) -> dict[str, str]:
    """The tags by which the runs of a stage are found again."""
    return {"study.stage": stage, "study.key": key, "study.arm": arm}


@dataclass(frozen=True)
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
    def place(self) -> dict[str, str]:
        """The tags by which the runs of the stage are found again."""
        return place_of(self.stage, self.key, self.arm)

    @property
    def tags(self) -> dict[str, str]:
        """The parent run's tags."""
        tags = {
            **self.environment,
            "study.data_sha256": self.data_sha256,
            "mlflow.source.name": f"study {self.stage} {self.study}",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": self.environment.get("git.commit", ""),
        }
        # Of an old record delivered late the commit is no longer known: what its run says of it stays.
        return self.place | {key: value for key, value in tags.items() if value and value != "unknown"}


@dataclass(frozen=True)
class Point:
    """One value of one metric; `after_seconds` counts from the start of the run."""

    metric: str
    value: float
    step: int
    after_seconds: float


@dataclass(frozen=True)
class Entry:
    """The run of one trial; by its name it is found again among its siblings."""

    name: str
    state: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: tuple[Point, ...]
    seconds: float

    @property
    def status(self) -> str:
        """The run's final status."""
        return STATUS[self.state]

    def is_said_by(self, run: Run) -> bool:
        """Whether a run says all of it; what a person has added there does not count."""
        last = {point.metric: point.value for point in self.points}
        return (
            (run.info.status, run.data.tags.get("trial.state")) == (self.status, self.state)
            and self.params.items() <= run.data.params.items()
            and last.items() <= run.data.metrics.items()
        )


def entry_of(outcome: Outcome, facts: StageFacts, name: str = "", prefix: str = "") -> Entry:
    """What to say of an outcome as the run `name`, else trial-007; `prefix` renames its metrics."""
    trial = outcome.trial
    name = name or f"trial-{trial.number:03d}"
    tags = {
        "study.data_sha256": facts.data_sha256,
        "mlflow.source.git.commit": facts.tags.get("mlflow.source.git.commit", ""),
        "trial.name": name,
        "trial.number": str(trial.number),
        "trial.state": outcome.state,
        "trial.device": outcome.device,
        "trial.seed_path": json.dumps(trial.seed_path),
        "trial.reason": shortened(outcome.reason, MAX_TAG),
    }
    params = {**trial.configuration, "epochs": trial.epochs}
    return Entry(
        name=name,
        state=outcome.state,
        params={key: str(value)[:MAX_PARAM] for key, value in params.items()},
        tags={key: value for key, value in tags.items() if value},
        points=tuple(_points(outcome, prefix)),
        seconds=outcome.seconds,
    )


# What no name of a metric may have.
UNFIT = re.compile(r"[^\w.\- /]")


def _points(outcome: Outcome, prefix: str) -> Iterator[Point]:
    # A trial that diverged after a good epoch must not be on top of the list that a person sorts.
    prefix = f"failed_{prefix}" if outcome.state == "failed" else prefix
    num_epochs = len(outcome.curve)
    for epoch, metrics in enumerate(outcome.curve, start=1):
        for metric, value in metrics.items():
            # A loop of the user's own may report under names that MLflow does not take.
            yield Point(
                f"{prefix}{UNFIT.sub('_', metric)}", value, epoch, outcome.seconds * epoch / num_epochs
            )
    if outcome.score is not None:
        yield Point(f"{prefix}score", outcome.score, num_epochs, outcome.seconds)
    yield Point("seconds", outcome.seconds, num_epochs, outcome.seconds)


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
