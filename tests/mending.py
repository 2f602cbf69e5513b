"""What the tests of `study doctor` and `study repair` share: clients of the real stores, a dead process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.errors import StoreError
from pipeline.records.project import Project
from pipeline.stages.repair import doctor, repair

HEALTHY = ["project: nothing found.", "tiny: nothing found."]


def told(folder: Path, does: Callable[..., Iterator[str]] = doctor) -> list[str]:
    """What doctor, or repair, says of a project; where something is left, the error is the last line."""
    said = does(Project(folder), None)
    lines: list[str] = []
    while True:
        try:
            line = next(said, None)
        except StoreError as error:
            return [*lines, str(error)]
        if line is None:
            return lines
        lines.append(line)


def is_mended(folder: Path, *said: str) -> bool:
    """Whether doctor finds all that is said, repair mends it, and nothing is found then."""
    found = told(folder)
    assert all(any(words in line and "To be mended" in line for line in found) for words in said), found
    mended = told(folder, repair)
    assert all(any(words in line and "Mended" in line for line in mended) for words in said), mended
    assert not any("nothing must be left" in line for line in mended), mended
    return told(folder) == HEALTHY


def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def mlflow(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")


def runs(folder: Path) -> list[Run]:
    """Every run of the study, those in the trash left out."""
    client = mlflow(folder)
    [experiment] = client.search_experiments(filter_string="name = 'tiny'")
    return client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])


def parent(folder: Path, stage: str) -> Run:
    """A stage's parent run."""
    return next(run for run in runs(folder) if run.info.run_name == stage)


def child(folder: Path, stage: str, name: str) -> Run:
    """A trial's run."""
    above = parent(folder, stage).info.run_id
    return next(
        run
        for run in runs(folder)
        if run.data.tags.get("mlflow.parentRunId") == above and run.data.tags["trial.name"] == name
    )


def storage(folder: Path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(f"sqlite:///{folder}/mlruns/optuna.db")


def search_of(folder: Path, arm: str = "optuna") -> optuna.Study:
    """An arm's search, as Optuna's own client shows it."""
    kept = storage(folder)
    [name] = [one.study_name for one in kept.get_all_studies() if one.study_name.startswith(f"tiny-{arm}-")]
    return optuna.load_study(study_name=name, storage=kept)


def record(folder: Path, stage: str) -> Path:
    """The folder of a stage's record."""
    [found] = folder.glob(f"mlruns/searches/tiny/{stage}-*")
    return found
