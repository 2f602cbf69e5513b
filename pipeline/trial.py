"""One configuration and its outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pipeline.space import Value

State = Literal["complete", "pruned", "failed"]
At = Literal["last", "best"]
Metrics = Mapping[str, float]
# What the reason of a trial begins with that a limit on its time has cut: on another machine it might not be.
OUT_OF_TIME = "took longer than"
# And of one that was never trained, because the study allows no such configuration.
REFUSED = "refused:"


@dataclass(frozen=True)
class Trial:
    """One configuration trained once.

    Attributes:
        number: from 0, in the order of asking.
        values: the searched values that count here.
        configuration: a value for every hyperparameter; what is not searched is fixed or default.
        epochs: how many epochs a complete trial has.
        seed_path: the names under which its seeds are drawn (see `seeds.stream`).
    """

    number: int
    values: Mapping[str, Value]
    configuration: Mapping[str, Value]
    epochs: int
    seed_path: tuple[str | int, ...]


@dataclass(frozen=True)
class EpochResult:
    """What one epoch of one trial gave: metrics, or the reason why there are none.

    Attributes:
        is_accident: whether the reason lies in the machine and not in the configuration.
        weights_sha256: of the weights after a trial's last epoch; empty after any other.
        device: what trained it, in words; empty where none did.
    """

    number: int
    epoch: int
    metrics: Metrics = field(default_factory=dict)
    seconds: float = 0.0
    reason: str = ""
    is_accident: bool = False
    weights_sha256: str = ""
    device: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        trial: the trial.
        state: complete, pruned or failed.
        curve: the metrics after epoch 1, 2, ...; all finite.
        score: the objective's metric at `epoch`; None for a failed trial.
        reason: why it failed, or at which epoch it was pruned; empty for a complete one.
        seconds: what its epochs took, added up.
        is_accident: whether it failed by the machine's fault; another day it might not.
        weights_sha256: of a complete trial's weights after `epoch`; empty for any other.
        epoch: the one whose score counts, the last or the best; None: the last.
        device: what trained its last epoch, in words; no result's key has it.

    Raises:
        ValueError: the score is not one that the state allows.
    """

    trial: Trial
    state: State
    curve: tuple[Metrics, ...]
    score: float | None
    reason: str = ""
    seconds: float = 0.0
    is_accident: bool = False
    weights_sha256: str = ""
    epoch: int | None = None
    device: str = ""

    def __post_init__(self) -> None:
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"a score is a finite number, not {self.score}")
        if self.state not in get_args(State):
            raise ValueError(f"a trial's state is one of {', '.join(get_args(State))}, not {self.state}")
        if self.state == "complete" and self.score is None:
            raise ValueError("a complete trial has a score")
        if self.state == "failed" and self.score is not None:
            raise ValueError("a failed trial has no score")

    @property
    def metrics(self) -> Metrics:
        """Those of the epoch whose score counts; of a trial without a curve none."""
        return self.curve[(self.epoch or len(self.curve)) - 1] if self.curve else {}

    def as_record(self) -> dict[str, Any]:
        """A JSON value from which `from_record` makes the same outcome."""
        return {
            "number": self.trial.number,
            "values": dict(self.trial.values),
            "configuration": dict(self.trial.configuration),
            "epochs": self.trial.epochs,
            "seed_path": list(self.trial.seed_path),
            "state": self.state,
            "curve": [dict(metrics) for metrics in self.curve],
            "score": self.score,
            "reason": self.reason,
            "seconds": self.seconds,
            "is_accident": self.is_accident,
            "weights_sha256": self.weights_sha256,
            "epoch": self.epoch,
            "device": self.device,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Outcome:
        """The outcome that `as_record` described."""
        trial = Trial(
            record["number"],
            record["values"],
            record["configuration"],
            record["epochs"],
            # Records of earlier versions call it chance.
            tuple(record.get("seed_path") or record["chance"]),
        )
        return cls(
            trial,
            record["state"],
            tuple(record["curve"]),
            record["score"],
            record["reason"],
            record["seconds"],
            record.get("is_accident", False),
            record.get("weights_sha256", ""),
            record.get("epoch"),
            record.get("device", ""),
        )


def is_finite(metrics: Metrics) -> bool:
    """Whether every metric is a number: NaN and infinity are never a score."""
    return all(math.isfinite(value) for value in metrics.values())


def scored_epoch(scores: Sequence[float], is_maximized: bool, at: At) -> int:
    """The epoch, from 1, whose score is the trial's: its last, or its best, of equals the first."""
    if at == "last":
        return len(scores)
    return scores.index(max(scores) if is_maximized else min(scores)) + 1


def is_over(trial: Trial, scores: Sequence[float], is_maximized: bool) -> bool:
    """Whether a trial with these scores so far has had its last epoch.

    That is its last by number, or the one after which its best is `early_stopping` epochs old.
    """
    patience = int(trial.configuration.get("early_stopping", 0))
    stale = len(scores) - scored_epoch(scores, is_maximized, "best")
    return len(scores) >= trial.epochs or 0 < patience <= stale


def best(outcomes: list[Outcome], maximize: bool) -> Outcome | None:
    """The complete trial with the best score; of equals the earliest."""
    sign = -1 if maximize else 1
    ranked = {
        (sign * outcome.score, outcome.trial.number): outcome
        for outcome in outcomes
        if outcome.state == "complete" and outcome.score is not None
    }
    return ranked[min(ranked)] if ranked else None
