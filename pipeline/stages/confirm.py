"""confirm: the best few on fresh seeds, beside the baseline's repeats; the test split is opened for two."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import data
from pipeline.data import Arrays
from pipeline.errors import DataError
from pipeline.files import write_bytes, write_folder, write_json, write_text
from pipeline.records.openings import note_opening
from pipeline.records.project import Project
from pipeline.records.recorded import Task
from pipeline.records.rows import write_rows
from pipeline.search import Listed
from pipeline.stages import baseline, champion, weights
from pipeline.stages.conclusion import Candidate, Contender, TestResult, candidates, conclude, ranked
from pipeline.stages.context import Context, Result, open_context, quiet, run
from pipeline.stages.freshness import check_search, check_trials
from pipeline.stages.views import deliver_owed
from pipeline.study import DataShape, Study
from pipeline.tracking.registry import check_registry
from pipeline.training import evaluation
from pipeline.training.program import Model
from pipeline.training.scored import OF_CLASSES
from pipeline.trial import Trial

MAX_MISCLASSIFIED = 24
# What the answers on test can be measured by.
MEASURED = ("accuracy", "loss", *OF_CLASSES)


def confirm(project: Project, name: str) -> dict[str, Any]:
    """Retrain, choose on val, measure on test; write confirm.csv and winner/. What was concluded.

    Raises:
        DataError: an earlier stage is missing, or nothing can be confirmed.
        StudyError, StoreError: see `open_context`.
    """
    with open_context(project, name) as context:
        path = project.made(name, project.folder(name) / "trials.csv", "search")
        check_trials(path.parent, name)
        check_search(project, context.study, context.card)
        # The winner is registered there: what can be seen to be impossible is told before hours of training.
        check_registry(project.tracking_uri)
        found = candidates(context.study, path)
        plain = _baseline(context, path)
        result = _retrain(context, found)
        order = ranked(context, _contenders(context, found, result), path)
        weights.restore(context, task_of(context.study, found), result.folder, order[0].outcomes)
        opened = {"winner": order[0].configuration, "baseline": plain.configuration}
        note_opening(project.openings(name), result.key, opened, context.card["sha256"])
        context.progress.say(f"confirm: opens the test split for the winner and the baseline of {name}.")
        with quiet():
            judge = _Judge(context)
            tests = {id(one): judge.test(one) for one in (order[0], plain)}
            conclusion = conclude(context, order, plain, tests[id(order[0])], tests[id(plain)])
            conclusion["champion"] = champion.decide(context, result, conclusion, judge.model(order[0], 0))
        folder = project.folder(name)
        _write_rows(context.study, folder, [plain, *order], tests)
        write_folder(
            folder / "winner",
            lambda aside: judge.write(aside, order[0], tests[id(order[0])], tests[id(plain)], conclusion),
        )
        winners = [one.trial for one in order[0].outcomes]
        for needless in weights.unneeded(context.study.learner, result.folder, winners):
            needless.unlink()
        deliver_owed(context)
    return conclusion


def task_of(study: Study, found: Sequence[Candidate]) -> Task:
    """What the stage runs: each candidate on every fresh seed."""
    configurations = [dict(one.configuration) for one in found]
    repeats = study.confirm.repeats
    # What the baseline is trained with is its own stage's.
    plan = {key: value for key, value in study.plan()["confirm"].items() if key != "baseline"}
    tables = {**plan, "configurations": configurations}
    return Task(
        "confirm",
        "",
        tables,
        repeats * len(configurations),
        repeats,
        prefix="confirmed_",
        keeps_weights=True,
    )


def _baseline(context: Context, path: Path) -> Contender:
    """The baseline's repeats, as its stage has trained them.

    Raises:
        DataError: one of them has failed.
    """
    result = baseline.trained(context)
    one = Contender(context.study.baseline.configuration, result.outcomes, result.folder)
    if not one.is_whole:
        raise DataError.of(
            "the baseline must train on every fresh seed.",
            next(outcome.reason for outcome in one.outcomes if outcome.reason),
            "Mend [baseline] in the study file.",
            str(path),
        )
    weights.restore(context, baseline.task_of(context.study), result.folder, result.outcomes)
    return one


def _retrain(context: Context, found: Sequence[Candidate]) -> Result:
    """Every configuration on every fresh seed; repeat r draws alike for all of them, so they pair."""
    study = context.study
    repeats = study.confirm.repeats
    trials = [
        Trial(index * repeats + repeat, {}, configuration, int(configuration["epochs"]), ("confirm", repeat))
        for index, configuration in enumerate(one.configuration for one in found)
        for repeat in range(repeats)
    ]
    return run(context, task_of(study, found), Listed(trials), context.rules(study.search.parallel))


def _contenders(context: Context, found: Sequence[Candidate], result: Result) -> list[Contender]:
    repeats, outcomes = context.study.confirm.repeats, result.outcomes
    groups = [outcomes[start : start + repeats] for start in range(0, len(outcomes), repeats)]
    return [
        Contender(candidate.configuration, group, result.folder, candidate)
        for group, candidate in zip(groups, found, strict=True)
    ]


class _Judge:
    """Holds the test split for as long as it is open."""

    def __init__(self, context: Context) -> None:
        self._bench = context
        folder = context.project.data(context.study.name)
        self._arrays: Arrays = data.load(folder, ("test",))["test"]

    def model(self, contender: Contender, repeat: int) -> Model:
        """The contender's model of one repeat."""
        data_shape, path = DataShape.of(self._bench.card), self._weights(contender, repeat)
        recorded = contender.outcomes[repeat].weights_sha256
        return self._bench.study.learner.restore(contender.configuration, data_shape, path, recorded)

    def test(self, contender: Contender) -> TestResult:
        """Every repeat of a contender on the test split."""
        inputs, labels = self._arrays
        answers = [self.model(contender, repeat).predict(inputs) for repeat in range(len(contender.outcomes))]
        wanted = self._bench.study.objective.metric.removeprefix("val_")
        # One of the user's own is measured by their loop alone, on val.
        metric = wanted if wanted in MEASURED else "accuracy"
        labels = np.asarray(labels)
        surprises = [evaluation.losses(answer, labels) for answer in answers]
        return TestResult(labels, [answer.argmax(axis=1) for answer in answers], surprises, metric)

    def write(
        self,
        folder: Path,
        winner: Contender,
        test: TestResult,
        plain: TestResult,
        conclusion: dict[str, Any],
    ) -> None:
        """The winner's configuration and weights, what it misclassifies, all answers, and the conclusion.

        The answers of winner and baseline are (num_repeats, num_inputs), in the order of the test split.
        """
        write_json(folder / "conclusion.json", conclusion)
        write_text(folder / "config.json", self.model(winner, 0).described() + "\n")
        weights_path = self._weights(winner, 0)
        # Without the number in front: model.weights.h5.
        kept = f"model{weights_path.name.lstrip('0123456789')}"
        write_bytes(folder / kept, weights_path.read_bytes())
        wrong = np.flatnonzero(test.predicted[0] != test.labels)
        # Spread over all of them: images may lie in the order of their classes.
        wrong = wrong[
            np.linspace(0, len(wrong), min(len(wrong), MAX_MISCLASSIFIED), endpoint=False, dtype=int)
        ]
        kind = self._bench.card.get("kind", "images")
        arrays: dict[str, np.ndarray] = {
            f"misclassified_{kind}": np.asarray(self._arrays.inputs[wrong]),
            "misclassified_labels": test.labels[wrong],
            "misclassified_predicted": test.predicted[0][wrong],
            "predicted_by_winner": _small(test.predicted),
            "predicted_by_baseline": _small(plain.predicted),
        }
        for name, array in arrays.items():
            content = io.BytesIO()
            np.save(content, array, allow_pickle=False)
            write_bytes(folder / f"{name}.npy", content.getvalue())

    def _weights(self, contender: Contender, repeat: int) -> Path:
        trial = contender.outcomes[repeat].trial
        return weights.path_of(self._bench.study.learner, contender.folder, trial)


def _small(predicted: Sequence[np.ndarray]) -> np.ndarray:
    """The answers of all repeats in as few bytes as hold them."""
    stacked = np.stack(predicted)
    return stacked.astype(np.min_scalar_type(int(stacked.max())))


def _write_rows(
    study: Study, folder: Path, contenders: Sequence[Contender], tests: dict[int, TestResult]
) -> None:
    rows = []
    for rank, one in enumerate(contenders):
        test = tests.get(id(one))
        for repeat, outcome in enumerate(one.outcomes):
            measured = (test.accuracies[repeat], test.losses[repeat]) if test else (None, None)
            rows.append({
                "role": f"candidate-{rank}" if rank else "baseline",
                "arm": one.candidate.arm if one.candidate else None,
                "number": one.candidate.number if one.candidate else None,
                "repeat": repeat,
                **one.configuration,
                "val_loss": outcome.metrics.get("val_loss"),
                "val_accuracy": outcome.metrics.get("val_accuracy"),
                "score": outcome.score,
                "test_accuracy": measured[0],
                "test_loss": measured[1],
            })  # fmt: skip
    columns = [
        "role",
        "arm",
        "number",
        "repeat",
        *study.learner.hyperparameters,
        "val_loss",
        "val_accuracy",
        "score",
    ]
    write_rows(folder / "confirm.csv", [*columns, "test_accuracy", "test_loss"], rows)
