"""confirm: the best few on fresh seeds, the winner on more, beside the baseline; the test split is opened."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import DataError
from pipeline.files import write_bytes, write_folder, write_json, write_text
from pipeline.records.openings import note_opening
from pipeline.records.project import Project
from pipeline.records.recorded import Task
from pipeline.records.rows import write_rows
from pipeline.stages import baseline, champion, weights
from pipeline.stages.answers import Answers, Contender, Split, model_of, weights_of
from pipeline.stages.conclusion import Confirmed, compared_on_val, conclude, confirmed
from pipeline.stages.context import Context, Result, open_context, quiet, run
from pipeline.stages.freshness import check_search, check_trials
from pipeline.stages.selection import Rounds, Selection, select
from pipeline.stages.views import deliver_owed
from pipeline.study import Study
from pipeline.tracking.registry import check_registry

MAX_MISCLASSIFIED = 24


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
        # The registry is there: what can be seen to be impossible is told before hours of training.
        check_registry(project.tracking_uri)
        selection = select(context.study, path)
        plain = _baseline(context, path)
        task = task_of(context.study, selection)
        result = run(context, task, Rounds(selection), context.rules(context.study.search.parallel))
        found = confirmed(selection, result, plain, path)
        on_val = compared_on_val(context.study, found)
        # The baseline's are kept by its own stage.
        beside = [one for one in on_val if one is not found.baseline]
        needed = [found.winner, *beside, *([found.longer] if found.longer else [])]
        trained = {one.trial.number: one for contender in needed for one in contender.outcomes}
        weights.restore(context, task, result.folder, list(trained.values()))
        conclusion = _measured(context, result, found, on_val)
        for needless in weights.unneeded(
            context.study.learner, result.folder, [one.trial for one in trained.values()]
        ):
            needless.unlink()
        deliver_owed(context)
    return conclusion


def task_of(study: Study, selection: Selection) -> Task:
    """What the stage runs: each configuration on every fresh seed, then the winner on others."""
    # What the baseline is trained with is its own stage's.
    plan = {key: value for key, value in study.plan()["confirm"].items() if key != "baseline"}
    tables = {**plan, "roles": selection.roles, "configurations": selection.configurations}
    return Task(
        "confirm",
        "",
        tables,
        selection.num_trials,
        selection.repeats,
        prefix="confirmed_",
        keeps_weights=True,
    )


def _baseline(context: Context, path: Path) -> Contender:
    """The baseline's repeats, as its stage has trained them.

    Raises:
        DataError: one of them has failed.
    """
    result = baseline.trained(context)
    for reason in [outcome.reason for outcome in result.outcomes if outcome.reason]:
        raise DataError.of(
            "the baseline must train on every fresh seed.",
            reason,
            "Mend [baseline] in the study file.",
            str(path),
        )
    weights.restore(context, baseline.task_of(context.study), result.folder, result.outcomes)
    return Contender(context.study.baseline.configuration, result.outcomes, result.folder)


def _measured(
    context: Context, result: Result, found: Confirmed, on_val: Sequence[Contender]
) -> dict[str, Any]:
    """Compare on val, open the test split, conclude, register; write confirm.csv and winner/."""
    name, folder = context.study.name, context.project.folder(context.study.name)
    with quiet():
        val = Split(context, "val")
        compared = {id(one): val.answers(one) for one in on_val}
    whom = "the winner and the baseline" + (", also at the search's epochs," if found.longer else "")
    context.progress.say(f"confirm: opens the test split for {whom} of {name}.")
    sides = {"winner": found.winner, "baseline": found.baseline}
    sides |= {"longer": found.longer} if found.longer else {}
    opened = {side: one.configuration for side, one in sides.items()}
    note_opening(context.project.openings(name), result.key, opened, context.card["sha256"])
    with quiet():
        test = Split(context, "test")
        on_test = {side: test.answers(one) for side, one in sides.items()}
        conclusion = conclude(context, found, on_test, compared)
        model = model_of(context, found.winner, conclusion["winner"]["median_repeat"])
        conclusion["champion"] = champion.decide(context, result, conclusion, model)
    groups = found.groups
    conclusion["num_rows"] = sum(len(one.outcomes) for one in groups.values())
    tests = {id(one): on_test[side] for side, one in sides.items()}
    _write_rows(context.study, folder, groups, tests)
    write_folder(
        folder / "winner", lambda aside: _write_winner(context, aside, test, found, on_test, conclusion)
    )
    return conclusion


def _write_winner(
    context: Context,
    folder: Path,
    test: Split,
    found: Confirmed,
    on_test: Mapping[str, Answers],
    conclusion: Mapping[str, Any],
) -> None:
    """The registered model's configuration and weights, what it misclassifies, all answers, the conclusion.

    The answers of winner and baseline are (num_repeats, num_inputs), in the order of the test split.
    """
    repeat, answers = conclusion["winner"]["median_repeat"], on_test["winner"]
    write_json(folder / "conclusion.json", conclusion)
    write_text(folder / "config.json", model_of(context, found.winner, repeat).described() + "\n")
    weights_path = weights_of(context, found.winner, repeat)
    # Without the number in front: model.weights.h5.
    kept = f"model{weights_path.name.lstrip('0123456789')}"
    write_bytes(folder / kept, weights_path.read_bytes())
    wrong = np.flatnonzero(answers.predicted[repeat] != answers.labels)
    # Spread over all of them: images may lie in the order of their classes.
    wrong = wrong[np.linspace(0, len(wrong), min(len(wrong), MAX_MISCLASSIFIED), endpoint=False, dtype=int)]
    kind = context.card.get("kind", "images")
    arrays: dict[str, np.ndarray] = {
        f"misclassified_{kind}": np.asarray(test.inputs[wrong]),
        "misclassified_labels": answers.labels[wrong],
        "misclassified_predicted": answers.predicted[repeat][wrong],
        "predicted_by_winner": _small(answers.predicted),
        "predicted_by_baseline": _small(on_test["baseline"].predicted),
    }
    for name, array in arrays.items():
        content = io.BytesIO()
        np.save(content, array, allow_pickle=False)
        write_bytes(folder / f"{name}.npy", content.getvalue())


def _small(predicted: Sequence[np.ndarray]) -> np.ndarray:
    """The answers of all repeats in as few bytes as hold them."""
    stacked = np.stack(predicted)
    return stacked.astype(np.min_scalar_type(int(stacked.max())))


def _write_rows(
    study: Study, folder: Path, groups: Mapping[str, Contender], tests: Mapping[int, Answers]
) -> None:
    rows = []
    for role, one in groups.items():
        test = tests.get(id(one))
        for repeat, outcome in enumerate(one.outcomes):
            measured = (test.accuracies[repeat], test.losses[repeat]) if test else (None, None)
            rows.append({
                "role": role,
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
