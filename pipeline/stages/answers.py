"""What retrained models answer on a split, and the numbers that follow from their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import data, statistics
from pipeline.space import Value
from pipeline.stages import weights
from pipeline.stages.context import Context
from pipeline.stages.selection import Candidate
from pipeline.statistics import Interval, Resolution
from pipeline.study import DataShape
from pipeline.training import evaluation
from pipeline.training.program import Model
from pipeline.training.scored import OF_CLASSES
from pipeline.trial import Outcome

# What can be measured by answers.
MEASURED = ("accuracy", "loss", *OF_CLASSES)


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
    def scores(self) -> list[float]:
        """The objective on val, a repeat each."""
        return [float(outcome.score or 0.0) for outcome in self.outcomes]

    @property
    def mean(self) -> float:
        """The mean of its scores."""
        return float(np.mean(self.scores))


@dataclass(frozen=True)
class Answers:
    """What one contender answers on a split, a repeat each.

    Attributes:
        labels: (num_inputs,), int64, the true classes.
        predicted: for each repeat (num_inputs,), int64, the classes that it answers.
        surprises: for each repeat (num_inputs,), float64, the cross-entropy of each answer, in nats.
        metric: what models are compared by: the objective's, or accuracy where answers do not give that.
    """

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

    def gain(self, other: Answers, metric: str = "") -> Interval:
        """By how much its metric is above the other's on the same inputs, over seeds and inputs at once."""
        mine, others = (one.per_input(metric or self.metric) for one in (self, other))
        return statistics.crossed_interval(mine, others)

    def resolution(self, other: Answers, metric: str = "") -> Resolution:
        """How small a gain these seeds and inputs can tell from none."""
        mine, others = (one.per_input(metric or self.metric) for one in (self, other))
        parts = statistics.Components.of(mine, others)
        return statistics.resolution(parts, parts.mean)

    def as_dict(self, classes: Sequence[str]) -> dict[str, Any]:
        """Accuracy, loss, confusion summed over repeats, precision and recall per class, on test."""
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


class Split:
    """Holds one split for as long as it is open, and asks models on it."""

    def __init__(self, context: Context, name: str) -> None:
        self._context = context
        self.inputs, self.labels = data.load(context.project.data(context.study.name), (name,))[name]

    def answers(self, contender: Contender) -> Answers:
        """Every repeat of a contender on the split."""
        labels = np.asarray(self.labels)
        repeats = range(len(contender.outcomes))
        found = [model_of(self._context, contender, repeat).predict(self.inputs) for repeat in repeats]
        surprises = [evaluation.losses(one, labels) for one in found]
        metric = self._context.study.objective.metric.removeprefix("val_")
        # One of the user's own is measured by their loop alone.
        metric = metric if metric in MEASURED else "accuracy"
        return Answers(labels, [one.argmax(axis=1) for one in found], surprises, metric)


def weights_of(context: Context, contender: Contender, repeat: int) -> Path:
    """Where the weights of one repeat are."""
    trial = contender.outcomes[repeat].trial
    return weights.path_of(context.study.learner, contender.folder, trial)


def model_of(context: Context, contender: Contender, repeat: int) -> Model:
    """The contender's model of one repeat."""
    data_shape, path = DataShape.of(context.card), weights_of(context, contender, repeat)
    recorded = contender.outcomes[repeat].weights_sha256
    return context.study.learner.restore(contender.configuration, data_shape, path, recorded)
