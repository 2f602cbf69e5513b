"""One configuration and its outcome."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pipeline.space import Value

State = Literal["complete", "pruned", "failed"]
Metrics = Mapping[str, float]


@dataclass(frozen=True)
class Trial:
    """One configuration trained once.

    Attributes:
        number: from 0, in the order of asking.
        values: the searched values that count here.
        configuration: a value for every hyperparameter; what is not searched is fixed or default.
        epochs: how many epochs a complete trial has.
        chance: the names under which its seeds are drawn (see `seeds.stream`).
    """

    number: int
    values: Mapping[str, Value]
    configuration: Mapping[str, Value]
    epochs: int
    chance: tuple[str | int, ...]


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
        score: the objective's metric at the last epoch of the curve; None for a failed trial.
        reason: why it failed, or at which epoch it was pruned; empty for a complete one.
        seconds: what its epochs took, added up.
        is_accident: whether it failed by the machine's fault; another day it might not.
        weights_sha256: of the weights at the end of a complete trial; empty for any other.
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

    def as_record(self) -> dict[str, Any]:
        """A JSON value from which `from_record` makes the same outcome."""
        return {
            "number": self.trial.number,
            "values": dict(self.trial.values),
            "configuration": dict(self.trial.configuration),
            "epochs": self.trial.epochs,
            "chance": list(self.trial.chance),
            "state": self.state,
            "curve": [dict(metrics) for metrics in self.curve],
            "score": self.score,
            "reason": self.reason,
            "seconds": self.seconds,
            "is_accident": self.is_accident,
            "weights_sha256": self.weights_sha256,
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
            tuple(record["chance"]),
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
            record.get("device", ""),
        )


def is_finite(metrics: Metrics) -> bool:
    """Whether every metric is a number: NaN and infinity are never a score."""
    return all(math.isfinite(value) for value in metrics.values())


def best(outcomes: list[Outcome], maximize: bool) -> Outcome | None:
    """The complete trial with the best score; of equals the earliest."""
    sign = -1 if maximize else 1
    ranked = {
        (sign * outcome.score, outcome.trial.number): outcome
        for outcome in outcomes
        if outcome.state == "complete" and outcome.score is not None
    }
    return ranked[min(ranked)] if ranked else None
