"""What confirm concludes: chosen on val, measured once on test, with intervals over seeds and inputs."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import statistics
from pipeline.errors import DataError
from pipeline.records.rows import read_rows, values_of
from pipeline.space import Value
from pipeline.stages.context import Context
from pipeline.study import DataShape, Study
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
        labels: (num_inputs,), int64, the true classes.
        predicted: for each repeat (num_inputs,), int64, the classes that it answers.
        surprises: for each repeat (num_inputs,), float64, the cross-entropy of each answer, in nats.
        metric: the objective's on test, by which the winner is judged, or accuracy.
    """

    __test__ = False  # pytest: this is no test

    labels: NDArray[np.int64]
    predicted: Sequence[NDArray[np.int64]]
    surprises: Sequence[NDArray[np.float64]]
    metric: str = "accuracy"

    @property
    def scores(self) -> list[float]:
        """The metric, a repeat each."""
        if self.metric == "loss":
            return self.losses
        if self.metric in OF_CLASSES:
            return [OF_CLASSES[self.metric](self.labels, classes) for classes in self.predicted]
        return self.accuracies

    @property
    def accuracies(self) -> list[float]:
        """The share of right answers, a repeat each."""
        return [float((classes == self.labels).mean()) for classes in self.predicted]

    @property
    def losses(self) -> list[float]:
        """The mean cross-entropy, a repeat each."""
        return [float(one.mean()) for one in self.surprises]

    @property
    def is_deterministic(self) -> bool:
        """Whether no seed changes the model: every repeat answers alike, to the last bit of its loss."""
        return all(np.array_equal(one, self.surprises[0]) for one in self.surprises)

    def per_input(self, metric: str = "accuracy") -> NDArray[np.float64]:
        """What each repeat gives for each input, (num_repeats, num_inputs): its means are the metric's."""
        if metric == "loss":
            return np.stack(self.surprises)
        return np.stack([statistics.per_input(metric, self.labels, one) for one in self.predicted])

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Accuracy, loss, confusion summed over repeats, precision and recall per class."""
        confusions = [statistics.confusion(self.labels, one, len(classes)) for one in self.predicted]
        of_classes = statistics.per_class(self.labels, self.predicted, len(classes))
        return {
            "test_accuracy": statistics.crossed_interval(self.per_input(), bounds="share").as_dict(),
            "test_accuracies": self.accuracies,
            "test_loss": statistics.crossed_interval(self.per_input("loss"), bounds="positive").as_dict(),
            "is_deterministic": self.is_deterministic,
            "confusion": np.sum(confusions, axis=0).tolist(),
            "per_class": [
                {
                    "class": name,
                    "precision": scores.precision.as_dict(),
                    "recall": scores.recall.as_dict(),
                    "support": scores.support,
                }
                for name, scores in zip(classes, of_classes, strict=True)
            ],
        }


def ranked(context: Context, contenders: Sequence[Contender], path: Path) -> list[Contender]:
    """The candidates by mean score on val, best first; those with a failed repeat are left out.

    Raises:
        DataError: none is left.
    """
    sign = -1 if context.study.objective.is_maximized else 1
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
    context: Context,
    order: Sequence[Contender],
    baseline: Contender,
    winner_test: TestResult,
    baseline_test: TestResult,
) -> dict[str, Any]:
    """Everything that the report says, as a JSON value; the winner comes first in `order`."""
    is_maximized = context.study.objective.is_maximized
    classes = context.card["classes"]
    tests, metric = (winner_test, baseline_test), winner_test.metric
    # Of what is measured on test the loss alone is better where it is smaller.
    sign = -1 if metric == "loss" else 1
    rights = [test.per_input() for test in tests]
    scores = [sign * test.per_input(metric) for test in tests]
    difference, gain = (statistics.crossed_interval(a, b) for a, b in (rights, scores))
    pair = statistics.mcnemar(winner_test.labels, winner_test.predicted[0], baseline_test.predicted[0])
    return {
        "objective": context.study.objective.metric,
        "maximize": is_maximized,
        "repeats": context.study.confirm.repeats,
        "classes": list(classes),
        "num_test": len(winner_test.labels),
        "candidates": [{**one.as_dict(is_maximized), **_size(context, one)} for one in order],
        "baseline": {**baseline.as_dict(is_maximized), **baseline_test.as_dict(classes)},
        "winner": {**order[0].as_dict(is_maximized), **winner_test.as_dict(classes)},
        "difference": difference.as_dict(),
        "resolution": statistics.resolution(statistics.Components.of(*rights), difference.mean).as_dict(),
        # By the study's own metric, more is better: what the champion is judged by.
        "judged": {
            "metric": f"test_{winner_test.metric}",
            "winner": [sign * score for score in winner_test.scores],
            "gain": gain.as_dict(),
        },
        "mcnemar": {
            "only_winner_right": pair.only_a_right,
            "only_baseline_right": pair.only_b_right,
            "p_value": pair.p_value,
        },
    }


def _size(context: Context, one: Contender) -> dict[str, int]:
    """How large the contender's model is and what training it costs, where models are compared.

    num_weights: 0 where the data decide it; multiply_adds: of all its epochs.
    """
    study = context.study
    if study.compared is None or study.compared[0] != "model":
        return {}
    shape, epochs = DataShape.of(context.card), int(one.configuration["epochs"])
    return {
        "num_weights": study.learner.num_weights(one.configuration, shape),
        "multiply_adds": epochs * study.learner.cost(one.configuration, shape),
    }


@dataclass(frozen=True)
class Candidate:
    """A configuration that may win, with the trial that proposed it."""

    arm: str
    number: int
    configuration: Mapping[str, Value]
    search_score: float


def candidates(study: Study, path: Path) -> list[Candidate]:
    """The `top` distinct configurations over all arms, best first, and the best of each arm.

    Raises:
        DataError: no trial is complete, or they are not this study's.
    """
    fixed = {arm.name: arm.fixed for arm in study.arms}
    sign = -1 if study.objective.is_maximized else 1
    try:
        rows = [row for row in read_rows(path) if row["state"] == "complete" and row["arm"] in fixed]
        found = [_candidate(row, study, fixed[row["arm"]]) for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError.of(
            "the trials must be those of the study file as it is now.",
            error,
            f"Run: study search {study.name}",
            str(path),
        ) from error
    found.sort(key=lambda one: (sign * one.search_score, one.number, one.arm))
    if not found:
        raise DataError.of(
            "at least one trial must be complete.",
            "none",
            "Read the reasons in that file, widen the space or give more trials.",
            str(path),
        )
    distinct = _distinct(found)
    # Every arm has its say: without its best, a comparison of arms would rest on search scores alone.
    firsts = [next((one for one in found if one.arm == name), None) for name in fixed]
    chosen = distinct[: study.confirm.top]
    return chosen + [one for one in firsts if one is not None and one not in chosen]


def _candidate(row: Mapping[str, str], study: Study, fixed: Mapping[str, Value]) -> Candidate:
    values = {**study.defaults, **fixed, **values_of(row, study.space), "epochs": int(row["epochs"])}
    return Candidate(row["arm"], int(row["number"]), values, float(row["score"]))


def _distinct(found: list[Candidate]) -> list[Candidate]:
    """The best of equal configurations, trained for however many epochs."""
    kept: dict[tuple[tuple[str, Value], ...], Candidate] = {}
    for one in found:
        key = tuple(sorted((name, value) for name, value in one.configuration.items() if name != "epochs"))
        kept.setdefault(key, one)
    return list(kept.values())
