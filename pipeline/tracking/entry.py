"""What the run of one trial says: an outcome in MLflow's terms, without MLflow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pipeline.errors import shortened
from pipeline.tracking.facts import StageFacts
from pipeline.trial import Outcome

STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}

# MLflow takes 1,000 values in a batch, among them at most 100 params and 100 tags.
METRICS_PER_BATCH, PARAMS_PER_BATCH, TAGS_PER_BATCH = 800, 100, 100

Part = TypeVar("Part")


@dataclass(frozen=True)
class Point:
    """One value of one metric; `after_seconds` counts from the start of the run."""

    metric: str
    value: float
    step: int
    after_seconds: float


@dataclass(frozen=True)
class Entry:
    """The run of one trial.

    Attributes:
        name: the run's name, by which it is found again among its siblings.
        state: the trial's state.
        ended_at: when it was recorded, in seconds since 1970.
    """

    name: str
    state: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    points: tuple[Point, ...]
    seconds: float
    ended_at: float

    @property
    def status(self) -> str:
        """The run's final status."""
        return STATUS[self.state]


def entry_of(
    outcome: Outcome, facts: StageFacts, name: str, tags: Mapping[str, str], prefix: str, ended_at: float
) -> Entry:
    """What to say of an outcome; `prefix` renames its metrics."""
    trial = outcome.trial
    name = name or f"trial-{trial.number:03d}"
    own = {
        "study.stage": facts.stage,
        "study.arm": facts.arm,
        "study.data_sha256": facts.data_sha256,
        "mlflow.source.git.commit": facts.commit,
        "trial.name": name,
        "trial.number": str(trial.number),
        "trial.state": outcome.state,
        "trial.device": outcome.device,
        "trial.chance": json.dumps(trial.chance),
        "trial.reason": shortened(outcome.reason, 1_000),
    }
    return Entry(
        name=name,
        state=outcome.state,
        params={key: str(value) for key, value in trial.configuration.items()}
        | {"epochs": str(trial.epochs)},
        tags={key: value for key, value in {**tags, **own}.items() if value},
        points=tuple(_points(outcome, prefix)),
        seconds=outcome.seconds,
        ended_at=ended_at,
    )


def _points(outcome: Outcome, prefix: str) -> Iterator[Point]:
    # A trial that diverged after a good epoch must not be on top of the list that a person sorts.
    prefix = f"failed_{prefix}" if outcome.state == "failed" else prefix
    num_epochs = len(outcome.curve)
    for epoch, metrics in enumerate(outcome.curve, start=1):
        for metric, value in metrics.items():
            yield Point(f"{prefix}{metric}", value, epoch, outcome.seconds * epoch / num_epochs)
    if outcome.score is not None:
        yield Point(f"{prefix}score", outcome.score, num_epochs, outcome.seconds)
    yield Point("seconds", outcome.seconds, num_epochs, outcome.seconds)


def chunks(parts: Sequence[Part], size: int) -> list[list[Part]]:
    """`parts` in order, in lists of at most `size`."""
    return [list(parts[start : start + size]) for start in range(0, len(parts), size)]
