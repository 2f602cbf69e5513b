"""One stage's runs in MLflow, each found before it is made: whatever is repeated, no run is doubled."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.entry import METRICS_PER_BATCH, PARAMS_PER_BATCH, TAGS_PER_BATCH, Entry, chunks
from pipeline.tracking.facts import StageFacts
from pipeline.tracking.store import is_server, made_alone

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

FINAL = ("FINISHED", "FAILED", "KILLED")
# Else the UI opens on pages about language models.
KIND = {"mlflow.experimentKind": "custom_model_development"}


@dataclass(frozen=True)
class Child:
    """A trial's run that is there already."""

    run_id: str
    status: str
    state: str
    started_ms: int
    params: Mapping[str, str]

    @classmethod
    def of(cls, run: Run) -> Child:
        """What matters of a run."""
        return cls(
            run.info.run_id,
            run.info.status,
            run.data.tags.get("trial.state", ""),
            run.info.start_time,
            run.data.params,
        )

    @property
    def is_final(self) -> bool:
        """Whether nothing more is to be said of it."""
        return self.status in FINAL

    def could_become(self, entry: Entry) -> bool:
        """Whether it is the half-written run of `entry`."""
        same = all(entry.params.get(key) == value for key, value in self.params.items())
        return not self.is_final and self.state == entry.state and same


class StageRuns:
    """The parent run of a stage and the runs of its trials; every method may be repeated."""

    def __init__(
        self, client: MlflowClient, uri: str, artifacts: Path, facts: StageFacts, started_at: float
    ) -> None:
        self._client = client
        self._facts = facts
        self._started_ms = round(started_at * 1000)
        place = None if is_server(uri) else (artifacts.absolute() / facts.study).as_uri()
        with made_alone(uri):
            self.experiment_id = experiment(client, facts.study, place)
            parent = find_parent(client, self.experiment_id, facts.stage, facts.key, facts.arm)
            self.parent_id = self._started(parent)
        self._children = self._known_children()

    def keep_files(self) -> None:
        """Keep the study file and the data card, as far as they are known, with the parent run."""
        if self._facts.study_text:
            self._client.log_text(self.parent_id, self._facts.study_text, "study.toml")
        # Of data that are no longer there, only the hash is known.
        if {*self._facts.data_card} > {"sha256"}:
            self._client.log_dict(self.parent_id, dict(self._facts.data_card), "card.json")

    def put(self, entry: Entry) -> None:
        """Bring the run of a trial up to date: made, completed, replaced, or left as it is."""
        known = self._children.get(entry.name)
        if known is not None and known.is_final and known.state == entry.state:
            return
        if known is not None and not known.could_become(entry):
            self._client.delete_run(known.run_id)
            known = None
        if known is None:
            known = self._created(entry)
            self._children[entry.name] = known
        self._fill(known, entry)
        self._children[entry.name] = Child(
            known.run_id, entry.status, entry.state, known.started_ms, entry.params
        )

    def finish(self, status: str, ended: str, metrics: Mapping[str, float]) -> None:
        """Close the parent run with its summary; `ended` says in words how the stage ended."""
        from mlflow.entities import Metric, RunTag

        now = round(time.time() * 1000)
        points = [Metric(name, value, now, 0) for name, value in metrics.items()]
        tags = [RunTag("study.ended", ended)]
        self._client.log_batch(self.parent_id, metrics=points, tags=tags)
        self._client.set_terminated(self.parent_id, status)

    def _started(self, parent: Run | None) -> str:
        facts = self._facts
        tags = {
            **facts.environment,
            "study.stage": facts.stage,
            "study.key": facts.key,
            "study.arm": facts.arm,
            "study.data_sha256": facts.data_sha256,
            "mlflow.source.name": f"study {facts.stage} {facts.study}",
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": facts.commit,
        }
        # Of an old record delivered late the commit is no longer known: what its run says of it stays.
        is_known = parent is None or facts.commit != "unknown"
        tags = {key: value for key, value in tags.items() if value and (is_known or "commit" not in key)}
        if parent is None:
            parent = self._client.create_run(
                self.experiment_id, start_time=self._started_ms, tags=tags, run_name=facts.title
            )
        run_id: str = parent.info.run_id
        changed = {
            key: value for key, value in facts.settings.items() if parent.data.params.get(key, value) != value
        }
        new = {key: value for key, value in facts.settings.items() if key not in parent.data.params}
        # A param is written once; a setting that may grow, such as the number of trials, goes on as a tag.
        self._log(run_id, new, tags | {f"now.{key}": value for key, value in changed.items()}, [])
        self._client.update_run(run_id, status="RUNNING")
        return run_id

    def _known_children(self) -> dict[str, Child]:
        condition = f"tags.`mlflow.parentRunId` = '{self.parent_id}'"
        known: dict[str, Child] = {}
        for run in find_runs(self._client, self.experiment_id, condition):
            name = run.data.tags.get("trial.name", "")
            # An answer that was lost on its way lets one trial be created twice.
            if name in known:
                self._client.delete_run(run.info.run_id)
            elif name:
                known[name] = Child.of(run)
        return known

    def _created(self, entry: Entry) -> Child:
        started_ms = round((entry.ended_at - entry.seconds) * 1000)
        run = self._client.create_run(
            self.experiment_id,
            start_time=started_ms,
            tags={**entry.tags, "mlflow.parentRunId": self.parent_id},
            run_name=entry.name,
        )
        return Child(run.info.run_id, "RUNNING", entry.state, started_ms, {})

    def _fill(self, child: Child, entry: Entry) -> None:
        from mlflow.entities import Metric

        # Counted from the run's own start, a point that is sent twice is the same point.
        points = [
            Metric(p.metric, p.value, child.started_ms + round(p.after_seconds * 1000), p.step)
            for p in entry.points
        ]
        self._log(child.run_id, entry.params, {}, points)
        self._log_dataset(child.run_id)
        ended_ms = child.started_ms + round(entry.seconds * 1000)
        self._client.set_terminated(child.run_id, entry.status, ended_ms)

    def _log(
        self, run_id: str, params: Mapping[str, str], tags: Mapping[str, str], points: list[Metric]
    ) -> None:
        from mlflow.entities import Param, RunTag

        batches = zip_longest(
            chunks(points, METRICS_PER_BATCH),
            chunks([Param(*pair) for pair in params.items()], PARAMS_PER_BATCH),
            chunks([RunTag(*pair) for pair in tags.items()], TAGS_PER_BATCH),
        )
        for some_points, some_params, some_tags in batches:
            self._client.log_batch(run_id, some_points or [], some_params or [], some_tags or [])

    def _log_dataset(self, run_id: str) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        facts = self._facts
        if not facts.data_sha256:
            return
        # MLflow's digests have at most 36 signs; the whole one is a tag.
        name = str(facts.data_card.get("name") or facts.study)
        dataset = Dataset(name, facts.data_sha256[:36], "local", "{}")
        context = InputTag("mlflow.data.context", "training")
        self._client.log_inputs(run_id, [DatasetInput(dataset, [context])])


def find_parent(client: MlflowClient, experiment_id: str, stage: str, key: str, arm: str) -> Run | None:
    """The parent run of a stage with this key, or None."""
    runs = find_runs(client, experiment_id, f"tags.`study.key` = '{key}'")
    return next(
        (
            run
            for run in runs
            if (run.data.tags.get("study.stage"), run.data.tags.get("study.arm", "")) == (stage, arm)
        ),
        None,
    )


def find_runs(client: MlflowClient, experiment_id: str, condition: str) -> list[Run]:
    """Every run that meets `condition`, the oldest first."""
    runs: list[Run] = []
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment_id],
            condition,
            max_results=1_000,
            order_by=["attributes.start_time"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def experiment(client: MlflowClient, name: str, place: str | None) -> str:
    """The id of the study's experiment: found, restored, or made with its artifacts at `place`."""
    known = client.get_experiment_by_name(name)
    if known is None:
        return client.create_experiment(name, artifact_location=place, tags=KIND)
    if known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)
    experiment_id: str = known.experiment_id
    return experiment_id
