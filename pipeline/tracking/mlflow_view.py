"""A stage in MLflow: a parent run, and a run for each recorded outcome; a view of the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import StoreError, hidden
from pipeline.tracking.entry import MAX_PARAM, Entry, StageFacts
from pipeline.tracking.live import DONE, INTERRUPTED
from pipeline.tracking.store import answering, connect, is_server, is_there, made_alone
from pipeline.trial import Outcome, Trial

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

FINAL = ("FINISHED", "FAILED", "KILLED")
# Else the UI opens on pages about language models.
KIND = {"mlflow.experimentKind": "custom_model_development"}
PARENT = "mlflow.parentRunId"
# MLflow takes 1,000 values in a batch, params and tags among them.
METRICS_PER_BATCH = 800


class MlflowView:
    """The runs of one stage, each found before it is made, and made anew where it says something else.

    Args:
        uri: a SQLite file, another database, or a tracking server.
        artifacts: the folder for artifacts of a database; a server has its own.
        facts: what the parent run says.
        described: what the run of an outcome says.
        names: of the runs that are recorded already.
    """

    def __init__(
        self,
        uri: str,
        artifacts: Path,
        facts: StageFacts,
        described: Callable[[Outcome], Entry],
        names: Iterable[str] = (),
    ) -> None:
        self._facts, self._described, self._names = facts, described, set(names)
        self._client = connect(uri)
        with made_alone(uri):
            self._experiment_id = experiment(self._client, uri, artifacts, facts.study)
            runs = find_runs(self._client, self._experiment_id, facts.place)
            parents = [run for run in runs if PARENT not in run.data.tags]
            self._parent_id: str = (parents[0] if parents else self._created_parent()).info.run_id
        self._known: dict[str, list[Run]] = {}
        self._strangers = parents[1:]
        for run in runs:
            if run.data.tags.get(PARENT) == self._parent_id:
                self._known.setdefault(run.data.tags.get("trial.name", ""), []).append(run)
            elif run not in parents:
                self._strangers.append(run)
        self._describe_parent()

    def begin(self, trial: Trial) -> None:
        """A trial is in flight: MLflow is told of it when it has ended."""

    def put(self, outcome: Outcome) -> None:
        """A trial has ended: one run says so; any other run of it goes to MLflow's trash."""
        entry = self._described(outcome)
        self._names.add(entry.name)
        known = self._known.pop(entry.name, [])
        told = next((run for run in known if entry.is_said_by(run)), None)
        for run in known:
            if run is not told:
                self._client.delete_run(run.info.run_id)
        self._known[entry.name] = [told or self._created(entry)]

    def finish(self, ended: str) -> Iterator[object]:
        """Take away what is not recorded; close the parent run, which says in words how the stage ended."""
        surplus = [run for name, runs in self._known.items() if name not in self._names for run in runs]
        for run in [*surplus, *self._strangers]:
            yield run
            self._client.delete_run(run.info.run_id)
        status = {DONE: "FINISHED", INTERRUPTED: "KILLED"}.get(ended, "FAILED")
        self._client.set_tag(self._parent_id, "study.ended", ended)
        self._client.set_terminated(self._parent_id, status)

    def close(self) -> None:
        """Nothing is held."""

    def _created_parent(self) -> Run:
        return self._client.create_run(
            self._experiment_id, tags=self._facts.place, run_name=self._facts.title
        )

    def _describe_parent(self) -> None:
        """All that the parent run says; said again, it is the same."""
        from mlflow.entities import Param, RunTag

        facts = self._facts
        self._client.log_batch(
            self._parent_id,
            params=[Param(name, value[:MAX_PARAM]) for name, value in facts.settings.items()],
            tags=[RunTag(*pair) for pair in facts.tags.items()],
        )
        if facts.study_text:
            self._client.log_text(self._parent_id, facts.study_text, "study.toml")
        # Of data that are no longer there, only the hash is known.
        if {*facts.data_card} > {"sha256"}:
            self._client.log_dict(self._parent_id, dict(facts.data_card), "card.json")
        self._client.update_run(self._parent_id, status="RUNNING")

    def _created(self, entry: Entry) -> Run:
        started_ms = round((time.time() - entry.seconds) * 1000)
        run = self._client.create_run(
            self._experiment_id,
            start_time=started_ms,
            tags={**self._facts.place, **entry.tags, PARENT: self._parent_id},
            run_name=entry.name,
        )
        self._fill(run.info.run_id, entry, started_ms)
        return run

    def _fill(self, run_id: str, entry: Entry, started_ms: int) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param

        points = [
            Metric(p.metric, p.value, started_ms + round(p.after_seconds * 1000), p.step)
            for p in entry.points
        ]
        params = [Param(*pair) for pair in entry.params.items()]
        for start in range(0, len(points), METRICS_PER_BATCH):
            batch = points[start : start + METRICS_PER_BATCH]
            self._client.log_batch(run_id, batch, [] if start else params)
        if sha256 := self._facts.data_sha256:
            # MLflow's digests have at most 36 signs; the whole one is a tag.
            name = str(self._facts.data_card.get("name") or self._facts.study)
            dataset = Dataset(name, sha256[:36], "local", "{}")
            context = InputTag("mlflow.data.context", "training")
            self._client.log_inputs(run_id, [DatasetInput(dataset, [context])])
        ended_ms = started_ms + round(entry.seconds * 1000)
        self._client.set_terminated(run_id, entry.status, ended_ms)


def experiment(client: MlflowClient, uri: str, artifacts: Path, study: str) -> str:
    """The id of the study's experiment: found, restored, or made with its artifacts' place."""
    known = client.get_experiment_by_name(study)
    if known is None:
        place = None if is_server(uri) else (artifacts.absolute() / study).as_uri()
        return client.create_experiment(study, artifact_location=place, tags=KIND)
    if known.lifecycle_stage == "deleted":
        client.restore_experiment(known.experiment_id)
    experiment_id: str = known.experiment_id
    return experiment_id


def find_runs(client: MlflowClient, experiment_id: str, place: Mapping[str, str]) -> list[Run]:
    """Every run of a stage, the parent run among them, the oldest first; without a place, of all stages."""
    condition = f"tags.`study.key` = '{place['study.key']}'" if place else ""
    runs: list[Run] = []
    token: str | None = ""
    while token is not None:
        page = client.search_runs(
            [experiment_id], condition, max_results=1_000, order_by=["start_time"], page_token=token or None
        )
        runs += page
        token = page.token or None
    # An arm's name may hold signs that no condition can.
    return [run for run in runs if place.items() <= run.data.tags.items()]


def find_parent(client: MlflowClient, experiment_id: str, place: Mapping[str, str]) -> Run | None:
    """The parent run of a stage, or None."""
    runs = find_runs(client, experiment_id, place)
    return next((run for run in runs if PARENT not in run.data.tags), None)


def see_runs(uri: str, study: str) -> list[Run]:
    """Every run of the study, the oldest first. No database is made.

    Raises:
        StoreError: MLflow does not answer.
    """
    if not is_there(uri):
        return []
    with answering("MLflow", uri):
        client = connect(uri, may_make=False)
        known = client.get_experiment_by_name(study)
        runs = find_runs(client, known.experiment_id, {}) if known else []
        return [run for run in runs if "study.stage" in run.data.tags]


def differing(runs: Sequence[Run], facts: StageFacts, entries: Sequence[Entry]) -> list[str]:
    """The names of the runs that are missing, doubled, or not what is recorded; the parent's by its title."""
    mine = [run for run in runs if facts.place.items() <= run.data.tags.items()]
    parents = [run for run in mine if PARENT not in run.data.tags]
    is_whole = len(parents) == 1 and parents[0].info.status in FINAL
    parent_id = parents[0].info.run_id if parents else ""
    known: dict[str, list[Run]] = {entry.name: [] for entry in entries}
    for run in mine:
        if run not in parents:
            known.setdefault(run.data.tags.get("trial.name", "a run"), []).append(run)
    wanted = {entry.name: entry for entry in entries}

    def is_right(name: str, found: Sequence[Run]) -> bool:
        entry = wanted.get(name)
        is_single = len(found) == 1 and found[0].data.tags[PARENT] == parent_id
        return entry is not None and is_single and entry.is_said_by(found[0])

    wrong = [name for name, found in known.items() if not is_right(name, found)]
    return wrong if is_whole else [facts.title, *wrong]


def mark_trials(
    uri: str, study: str, place: Mapping[str, str], tags: Mapping[int, Mapping[str, str]]
) -> None:
    """Put tags, by trial number, on the runs of a stage's trials; a tag that is there is overwritten.

    Raises:
        StoreError: MLflow does not answer, or has no run of a trial; the others have their tags.
    """
    found = [run for run in see_runs(uri, study) if place.items() <= run.data.tags.items()]
    runs = {int(run.data.tags["trial.number"]): run for run in found if PARENT in run.data.tags}
    if runs.keys() & tags.keys():
        with answering("MLflow", uri):
            client = connect(uri)
            for number in runs.keys() & tags.keys():
                for name, value in tags[number].items():
                    client.set_tag(runs[number].info.run_id, name, value)
    if missing := sorted(tags.keys() - runs.keys()):
        raise StoreError.of(
            "MLflow must have a run of every trial that is to be marked.",
            f"no run of trial {', '.join(map(str, missing))}",
            f"Deliver them, then run again: study repair {study}",
            hidden(uri),
        )
