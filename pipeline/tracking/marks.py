"""Tags on the runs of trials that have ended: what was found out about them later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipeline.errors import StoreError, hidden
from pipeline.tracking.runs import find_parent, find_runs
from pipeline.tracking.store import answering, check_store, connect, database_path

if TYPE_CHECKING:
    from mlflow import MlflowClient


def mark_trials(
    uri: str, study: str, stage: str, key: str, arm: str, tags: Mapping[int, Mapping[str, str]]
) -> None:
    """Put tags, by trial number, on the runs of a stage's trials; a tag that is there is overwritten.

    Raises:
        StoreError: MLflow does not answer, or has no run of a trial; the others have their tags.
    """
    check_store(uri)
    path = database_path(uri)
    missing = set(tags)
    # To look for a run, no database need be made.
    if path is None or path.exists():
        with answering(uri):
            client = connect(uri)
            for number, run_id in _runs(client, study, stage, key, arm).items():
                for name, value in tags.get(number, {}).items():
                    client.set_tag(run_id, name, value)
                missing.discard(number)
    if missing:
        raise StoreError.of(
            "MLflow must have a run of every trial that is to be marked.",
            f"no run of {f'{stage} {arm}'.strip()} {', '.join(map(str, sorted(missing)))}",
            f"Deliver them, then run again: study sync {study}",
            hidden(uri),
        )


def _runs(client: MlflowClient, study: str, stage: str, key: str, arm: str) -> dict[int, str]:
    """The id of each trial's run, by number."""
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return {}
    parent = find_parent(client, experiment.experiment_id, stage, key, arm)
    if parent is None:
        return {}
    condition = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = find_runs(client, experiment.experiment_id, condition)
    return {int(run.data.tags.get("trial.number", -1)): run.info.run_id for run in children}
