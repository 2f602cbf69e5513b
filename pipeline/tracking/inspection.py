"""What MLflow holds of a study, read without leaving a trace; and what is wrong there, taken away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.files import sha256
from pipeline.tracking.entry import Entry
from pipeline.tracking.registry import ALIAS, KERAS_FILE
from pipeline.tracking.runs import FINAL, find_runs
from pipeline.tracking.store import answering, apply_settings, check_store, database_path

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


@dataclass(frozen=True)
class SeenRun:
    """A run as MLflow shows it, the parent of a stage or the run of a trial.

    Attributes:
        parent_id: the parent's run, or empty.
        name: a trial's name among its siblings; empty for a parent.
        place: stage, key and arm of a parent.
    """

    run_id: str
    parent_id: str
    name: str
    place: tuple[str, str, str]
    status: str
    state: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.status in FINAL

    def says(self, entry: Entry) -> bool:
        """Whether it says what the entry would; what a person has added to it does not count."""
        last = {point.metric: point.value for point in entry.points}
        is_same_end = (self.status, self.state) == (entry.status, entry.state)
        return (
            is_same_end
            and {**self.params, **entry.params} == self.params
            and {**self.metrics, **last} == self.metrics
        )


@dataclass(frozen=True)
class SeenModel:
    """The version in force: the SHA-256 of its .keras file, as it was registered and as it is."""

    version: int
    registered_sha256: str
    model_sha256: str


def see_runs(uri: str, study: str) -> list[SeenRun]:
    """Every run of the study that a stage has made, the oldest first.

    Raises:
        StoreError: MLflow does not answer.
    """
    with _looking(uri) as client:
        known = client.get_experiment_by_name(study) if client else None
        runs = find_runs(client, known.experiment_id, "") if client and known else []
    return [_seen(run) for run in runs if "study.stage" in run.data.tags]


def _seen(run: Run) -> SeenRun:
    tags = run.data.tags
    return SeenRun(
        run.info.run_id,
        tags.get("mlflow.parentRunId", ""),
        tags.get("trial.name", ""),
        (tags["study.stage"], tags.get("study.key", ""), tags.get("study.arm", "")),
        run.info.status,
        tags.get("trial.state", ""),
        run.data.params,
        run.data.metrics,
    )


def see_champion(uri: str, study: str) -> SeenModel | None:
    """The version in force, its file read; None where none is, or it was not registered by us.

    Raises:
        StoreError: MLflow does not answer, or the file cannot be read.
    """
    with _looking(uri) as client, tempfile.TemporaryDirectory() as folder:
        if client is None:
            return None
        from mlflow.artifacts import download_artifacts

        versions = client.search_model_versions(f"name = '{study}'")
        model = next(iter(client.search_registered_models(f"name = '{study}'")), None)
        number = str(model.aliases.get(ALIAS, "")) if model else ""
        found = next((one for one in versions if str(one.version) == number), None)
        if found is None or "model_sha256" not in found.tags:
            return None
        place = client.get_model_version_download_uri(study, number)
        source = f"{place.rstrip('/')}/{KERAS_FILE}"
        file = Path(download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=uri))
        return SeenModel(int(number), found.tags["model_sha256"], sha256(file))


def trash(uri: str, run_ids: Iterable[str]) -> None:
    """Move runs to MLflow's trash, where a person can get them back."""
    with _looking(uri) as client:
        for run_id in run_ids:
            if client:
                client.delete_run(run_id)


def close(uri: str, run_ids: Iterable[str]) -> None:
    """Give runs that were left open the status that a kill leaves none to give."""
    with _looking(uri) as client:
        for run_id in run_ids:
            if client:
                client.set_terminated(run_id, "KILLED")


@contextmanager
def _looking(uri: str) -> Iterator[MlflowClient | None]:
    """A client that makes no database; None where there is none to look at."""
    path = database_path(uri)
    if path is not None and not (path.is_file() and path.stat().st_size):
        yield None
        return
    check_store(uri)
    apply_settings()
    with answering(uri):
        from mlflow import MlflowClient

        yield MlflowClient(uri)
