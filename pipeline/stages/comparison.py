"""What a replay has shown: two curves of one trial compared, bit by bit."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline.trial import Metrics, Outcome

# Training makes much of a last bit: two programs that round differently, at first 1e-7 apart in loss, ended
# up to 0.025 apart over 32 trials of the shipped sample study (800 val images). This is twice as much.
ACCURACY_TOLERANCE = 0.05
# Enough of a SHA-256 to tell two apart.
DIGITS = 12


@dataclass(frozen=True)
class Comparison:
    """What a replay has shown of one trial.

    Attributes:
        detail: what is equal, or what differs and by how much.
        is_good: whether nothing differs beyond what is stated.
    """

    word: Literal["verified", "differs", "not comparable"]
    detail: str
    is_good: bool

    def __str__(self) -> str:
        return f"{self.word}: {self.detail}."


@dataclass(frozen=True)
class Gap:
    """One number of a curve whose bits are not the recorded ones; NaN stands for a metric that is missing."""

    epoch: int
    metric: str
    was: float
    now: float

    @property
    def size(self) -> float:
        """By how much, for a missing metric infinity."""
        size = abs(self.now - self.was)
        return math.inf if math.isnan(size) else size

    def __str__(self) -> str:
        return f"{self.metric} was {self.was}, is {self.now} ({self.size:.2g} apart)"


def judge(recorded: Outcome, replayed: Outcome, changed: str) -> Comparison:
    """The decision on one trial.

    Args:
        changed: which parts of the fingerprint are different now, in words; empty: none is.
    """
    gaps = list(find_gaps(recorded.curve, replayed.curve))
    if changed:
        detail, is_good = _estimate(recorded, replayed, gaps)
        return Comparison("not comparable", f"{changed} changed since; {detail}", is_good)
    was, now = _ending(recorded), _ending(replayed)
    weights = [one.weights_sha256[:DIGITS] for one in (recorded, replayed)]
    # A complete trial has weights to compare, any other has none.
    has_same_weights = was != now or weights[0] == weights[1]
    if not gaps and was == now and has_same_weights:
        more = f"; {now}, as before" if recorded.state == "failed" else ""
        more += ", and so have the weights" if weights[0] else ""
        return Comparison("verified", f"{_alike(len(recorded.curve))}{more}", is_good=True)
    parts = [f"from epoch {gaps[0].epoch} on, {_largest(gaps[0].epoch, gaps)}"] if gaps else []
    parts += [f"the recorded one {was}, this one {now}"] if was != now else []
    if not has_same_weights:
        parts.append(f"the SHA-256 of the weights was {weights[0] or 'not recorded'}, is {weights[1]}")
    return Comparison("differs", "; ".join(parts), is_good=False)


def find_gaps(recorded: Sequence[Metrics], replayed: Sequence[Metrics]) -> Iterator[Gap]:
    """Every number whose bits differ, over the epochs that both curves have."""
    for epoch, (was, now) in enumerate(zip(recorded, replayed, strict=False), start=1):
        for metric in dict.fromkeys([*was, *now]):
            pair = float(was.get(metric, math.nan)), float(now.get(metric, math.nan))
            # Of two zeros with different signs `==` would say that they are the same.
            if pair[0].hex() != pair[1].hex():
                yield Gap(epoch, metric, *pair)


def _estimate(recorded: Outcome, replayed: Outcome, gaps: Sequence[Gap]) -> tuple[str, bool]:
    """How far a trial is off that need not give the same bits, and whether that is within the tolerance."""
    # The words of a failure may change with a package; that it fails, and where, should not.
    if (recorded.state, len(recorded.curve)) != (replayed.state, len(replayed.curve)):
        return f"beyond tolerance: the recorded one {_ending(recorded)}, this one {_ending(replayed)}", False
    if not gaps:
        return f"{_alike(len(recorded.curve))} all the same", True
    accuracies = [gap for gap in gaps if gap.metric.endswith("accuracy")]
    if not accuracies:
        return "every accuracy is the same", True
    largest = max(accuracies, key=lambda gap: gap.size)
    is_within = largest.size <= ACCURACY_TOLERANCE
    word = "within" if is_within else "beyond"
    return f"at most, at epoch {largest.epoch}, {largest}: {word} {ACCURACY_TOLERANCE}", is_within


def _largest(epoch: int, gaps: Sequence[Gap]) -> Gap:
    return max((gap for gap in gaps if gap.epoch == epoch), key=lambda gap: gap.size)


def _alike(num_epochs: int) -> str:
    epochs = "1 epoch" if num_epochs == 1 else f"{num_epochs} epochs"
    return f"every metric of {epochs} has the same bits"


def _ending(outcome: Outcome) -> str:
    num_epochs = len(outcome.curve)
    if outcome.state == "failed":
        return f"failed at epoch {num_epochs + 1} ({outcome.reason})"
    return f"was {outcome.state} after epoch {num_epochs}"
