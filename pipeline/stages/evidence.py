"""What confirm concludes: chosen on val, measured once on test, with intervals over fresh seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import statistics
from pipeline.errors import DataError
from pipeline.space import Value
from pipeline.stages.running import Bench
from pipeline.stages.selection import Candidate
from pipeline.training.scored import OF_CLASSES
from pipeline.trial import Outcome


@dataclass(frozen=True)
class Contender:
    """A configuration trained on every fresh seed; the baseline has no candidate.

    Attributes:
        folder: where its weights are.
    """

    configuration: Mapping[str, Value]
    outcomes: Sequence[Outcome]
    folder: Path
    candidate: Candidate | None = None

    @property
    def is_whole(self) -> bool:
        """Whether every repeat is complete."""
        return all(outcome.state == "complete" for outcome in self.outcomes)

    @property
    def scores(self) -> list[float]:
        """The objective on val, a repeat each."""
        return [float(outcome.score or 0.0) for outcome in self.outcomes]

    def as_dict(self, is_maximized: bool) -> dict[str, Any]:
        """What is known of it from val alone."""
        known: dict[str, Any] = {
            "configuration": dict(self.configuration),
            "scores": self.scores,
            "val_score": statistics.interval(self.scores).as_dict(),
        }
        if self.candidate:
            gap = self.candidate.search_score - float(np.mean(self.scores))
            known |= {
                "arm": self.candidate.arm,
                "number": self.candidate.number,
                "search_score": self.candidate.search_score,
                # Positive: the search promised more than fresh seeds keep.
                "optimism": gap if is_maximized else -gap,
            }
        return known


@dataclass(frozen=True)
class TestResult:
    """What one contender does on the test split, a repeat each.

    Attributes:
        predicted: for each repeat (num_images,), int64, the classes that it answers.
        losses: for each repeat its mean cross-entropy, in nats.
        metric: the objective's on test, by which the winner is judged.
    """

    __test__ = False  # pytest: this is no test

    labels: NDArray[np.int64]
    predicted: Sequence[NDArray[np.int64]]
    losses: Sequence[float]
    metric: str = "accuracy"

    @property
    def scores(self) -> list[float]:
        """The objective's metric, a repeat each; accuracy where test has no such metric."""
        if self.metric == "loss":
            return list(self.losses)
        if self.metric in OF_CLASSES:
            return [OF_CLASSES[self.metric](self.labels, classes) for classes in self.predicted]
        return self.accuracies

    @property
    def accuracies(self) -> list[float]:
        """The share of right answers, a repeat each."""
        return [float((classes == self.labels).mean()) for classes in self.predicted]

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Accuracy, loss, confusion summed over repeats, precision and recall per class."""
        confusions = [statistics.confusion(self.labels, one, len(classes)) for one in self.predicted]
        return {
            "test_accuracy": statistics.interval(self.accuracies).as_dict(),
            "test_accuracies": self.accuracies,
            "test_loss": statistics.interval(self.losses).as_dict(),
            "confusion": np.sum(confusions, axis=0).tolist(),
            "per_class": [
                {
                    "class": name,
                    "precision": scores.precision.as_dict(),
                    "recall": scores.recall.as_dict(),
                    "support": scores.support,
                }
                for name, scores in zip(classes, statistics.per_class(confusions), strict=True)
            ],
        }


def ranked(bench: Bench, contenders: Sequence[Contender], path: Path) -> list[Contender]:
    """The candidates by mean score on val, best first; those with a failed repeat are left out.

    Raises:
        DataError: none is left.
    """
    sign = -1 if bench.study.objective.is_maximized else 1
    whole = [one for one in contenders if one.is_whole]
    if not whole:
        reasons = sorted({o.reason for one in contenders for o in one.outcomes if o.reason})
        raise DataError.of(
            "at least one candidate must train on every fresh seed.",
            "; ".join(reasons),
            "Narrow the space to settings that train reliably, then search again.",
            str(path),
        )
    return sorted(whole, key=lambda one: sign * float(np.mean(one.scores)))


def conclude(
    bench: Bench,
    order: Sequence[Contender],
    baseline: Contender,
    winner_test: TestResult,
    baseline_test: TestResult,
) -> dict[str, Any]:
    """Everything that the report says, as a JSON value; the winner comes first in `order`."""
    is_maximized = bench.study.objective.is_maximized
    classes = bench.card["classes"]
    difference = statistics.paired_interval(winner_test.accuracies, baseline_test.accuracies)
    sign = 1 if is_maximized else -1
    gains = [sign * np.array(test.scores) for test in (winner_test, baseline_test)]
    pair = statistics.mcnemar(winner_test.labels, winner_test.predicted[0], baseline_test.predicted[0])
    return {
        "objective": bench.study.objective.metric,
        "maximize": is_maximized,
        "repeats": bench.study.confirm.repeats,
        "classes": list(classes),
        "candidates": [one.as_dict(is_maximized) for one in order],
        "baseline": {**baseline.as_dict(is_maximized), **baseline_test.as_dict(classes)},
        "winner": {**order[0].as_dict(is_maximized), **winner_test.as_dict(classes)},
        "difference": difference.as_dict(),
        # By the study's own metric, more is better: what the champion is judged by.
        "judged": {
            "metric": f"test_{winner_test.metric}",
            "winner": gains[0].tolist(),
            "gain": statistics.paired_interval(*gains).as_dict(),
        },
        "mcnemar": {
            "only_winner_right": pair.only_a_right,
            "only_baseline_right": pair.only_b_right,
            "p_value": pair.p_value,
        },
    }
