"""Whether the winner is put in use: it must beat the baseline and the model in use, by its interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from pipeline import data, statistics
from pipeline.files import digest
from pipeline.records.openings import num_subjects, openings
from pipeline.stages.context import Context, Result
from pipeline.stages.views import stage_facts
from pipeline.tracking.registry import Champion, champion, promote, register_winner
from pipeline.training import BACKENDS, backend
from pipeline.training.program import Model

REQUIREMENTS: Mapping[str, tuple[str, ...]] = {
    "keras": ("keras", "numpy"),
    "sklearn": ("scikit-learn", "skops", "numpy"),
}


def decide(context: Context, result: Result, conclusion: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """Register the winner's model, promote it if it has earned it; the decision and its reason.

    The decision is the same when the same result is judged again.

    Raises:
        StoreError: MLflow does not answer.
    """
    project, name = context.project, context.study.name
    winner = conclusion["winner"]
    # What was found, not which run found it: the same result found again is the same model.
    fingerprint = digest([winner["configuration"], winner["test_accuracies"], context.card["sha256"]])[:16]
    tags = {
        "test_accuracies": json.dumps(winner["test_accuracies"]),
        "judged_by": conclusion["judged"]["metric"],
        "test_scores": json.dumps(conclusion["judged"]["winner"]),
        "test_accuracy": str(winner["test_accuracy"]["mean"]),
        "repeat": str(winner["median_repeat"]),
        "own_test_accuracy": str(winner["test_accuracies"][winner["median_repeat"]]),
        "data_sha256": context.card["sha256"],
        "configuration": json.dumps(winner["configuration"]),
        # Sets of configurations, not looks: a study that was interrupted and goes on has looked no further.
        "test_openings": str(num_subjects(openings(project.openings(name)))),
    }
    in_use = champion(project.tracking_uri, name)
    is_own = in_use is not None and in_use.tags.get("fingerprint") == fingerprint
    if beaten := _beaten(in_use, is_own):
        tags["beaten"] = beaten
    is_granted, reason = judge(conclusion, None if is_own else in_use, tags)
    registered = register_winner(
        project.tracking_uri,
        project.artifacts,
        stage_facts(context, "confirm", "", result.key, {}),
        model=model,
        input_example=_example(context, model),
        fingerprint=fingerprint,
        tags=tags,
        description=_described(conclusion),
        metrics={
            "winner_test_accuracy": winner["test_accuracy"]["mean"],
            "baseline_test_accuracy": conclusion["baseline"]["test_accuracy"]["mean"],
            "test_accuracy_gained": conclusion["difference"]["mean"],
        },
        requirements=[f"{package}=={version(package)}" for package in _requirements(model)],
    )
    if is_granted:
        promote(project.tracking_uri, name, registered.version)
    return {"granted": is_granted, "reason": reason}


def _beaten(in_use: Champion | None, is_own: bool) -> str:
    """The version that the winner has to beat, or had to when it was put in use itself; or empty."""
    if in_use is None:
        return ""
    return in_use.tags.get("beaten", "") if is_own else str(in_use.version)


def judge(
    conclusion: Mapping[str, Any], in_use: Champion | None, tags: Mapping[str, str]
) -> tuple[bool, str]:
    """Whether the winner earns the alias, and why or why not; `in_use` is another model, or None."""
    judged = conclusion["judged"]
    low, high = judged["gain"]["low"], judged["gain"]["high"]
    gain = f"{_span(judged['metric'], low, high)} over the baseline"
    if low <= 0:
        return False, f"its 95 % interval, {gain}, does not exclude zero"
    of_all = f"it beats the baseline ({gain}) and the model that was in use"
    if in_use is None:
        alone = f"it beats the baseline ({gain}), and no other model is in use"
        return True, of_all if "beaten" in tags else alone
    if in_use.tags.get("data_sha256") != tags["data_sha256"]:
        return False, (
            f"version {in_use.version}, in use, was measured on other data; "
            "remove its alias champion to let this one in"
        )
    if in_use.tags.get("judged_by", "test_accuracy") != judged["metric"]:
        return False, (
            f"version {in_use.version}, in use, was judged by another metric; "
            "remove its alias champion to let this one in"
        )
    theirs = json.loads(in_use.tags.get("test_scores", in_use.tags["test_accuracies"]))
    lead = statistics.welch_interval(judged["winner"], theirs)
    if lead.low == lead.high and judged["metric"] != "test_loss":
        # Models that no seed changes: what is left is the choice of the inputs.
        lead = statistics.shares_interval(judged["winner"][0], theirs[0], conclusion["num_test"])
    against = f"{_span(judged['metric'], lead.low, lead.high)} over version {in_use.version}, in use"
    if lead.low <= 0:
        return False, f"its 95 % interval, {against}, does not exclude zero"
    return True, of_all


def _span(metric: str, low: float, high: float) -> str:
    """A gain in words: in points where it is one of shares."""
    if metric == "test_loss":
        return f"{low:+.4f} to {high:+.4f} nats less test loss"
    return f"{100 * low:+.2f} to {100 * high:+.2f} points of {metric.replace('_', ' ')}"


def _described(conclusion: Mapping[str, Any]) -> str:
    """Which of the winner's models this is, and what it does itself beside what they do on average."""
    winner, metric = conclusion["winner"], conclusion["objective"].replace("_", " ")
    own = winner["test_accuracies"][winner["median_repeat"]]
    return (
        f"Of {conclusion['repeats']} repeats the one with the median {metric}, of an even number the worse "
        f"of the two in the middle. Its own test accuracy is {100 * own:.2f} %, the mean of all "
        f"{100 * winner['test_accuracy']['mean']:.2f} %."
    )


def _requirements(model: Model) -> tuple[str, ...]:
    """The packages that answer."""
    return (*REQUIREMENTS[model.flavour], *(BACKENDS[backend()] if model.flavour == "keras" else ()))


def _example(context: Context, model: Model) -> np.ndarray:
    """A few training inputs as they are prepared, (3, ...); as scikit-learn takes them, in rows."""
    arrays = data.load(context.project.data(context.study.name), ("train",))["train"]
    example = np.asarray(arrays.inputs[:3])
    return example if model.flavour == "keras" else example.reshape(len(example), -1)
