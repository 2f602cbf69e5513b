"""Whether the winner is put in force: it must beat the baseline and the model in force, by its interval."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import numpy as np

from pipeline import data, statistics
from pipeline.files import digest
from pipeline.stages.running import Bench, Result
from pipeline.stages.views import stage_facts
from pipeline.tracking.registry import Champion, champion, crown, register_winner
from pipeline.training import BACKENDS, backend

REQUIREMENTS = ("keras", "numpy")


def decide(bench: Bench, result: Result, evidence: Mapping[str, Any], model: Any) -> dict[str, Any]:
    """Register the winner's model, crown it if it has earned it; the verdict and its reason.

    The verdict is the same when the same result is judged again.

    Raises:
        StoreError: MLflow does not answer.
    """
    project, name = bench.project, bench.study.name
    winner = evidence["winner"]
    # What was found, not which run found it: the same result found again is the same model.
    fingerprint = digest([winner["configuration"], winner["test_accuracies"], bench.card["sha256"]])[:16]
    tags = {
        "test_accuracies": json.dumps(winner["test_accuracies"]),
        "judged_by": evidence["judged"]["metric"],
        "test_scores": json.dumps(evidence["judged"]["winner"]),
        "test_accuracy": str(winner["test_accuracy"]["mean"]),
        "data_sha256": bench.card["sha256"],
        "configuration": json.dumps(winner["configuration"]),
    }
    in_force = champion(project.tracking_uri, name)
    is_own = in_force is not None and in_force.tags.get("fingerprint") == fingerprint
    if beaten := _beaten(in_force, is_own):
        tags["beaten"] = beaten
    is_granted, reason = judge(evidence, None if is_own else in_force, tags)
    registered = register_winner(
        project.tracking_uri,
        project.artifacts,
        stage_facts(bench, "confirm", "", result.key, {}),
        model=model,
        input_example=_example(bench),
        fingerprint=fingerprint,
        tags=tags,
        metrics={
            "winner_test_accuracy": winner["test_accuracy"]["mean"],
            "baseline_test_accuracy": evidence["baseline"]["test_accuracy"]["mean"],
            "test_accuracy_gained": evidence["difference"]["mean"],
        },
        requirements=[f"{package}=={version(package)}" for package in (*REQUIREMENTS, *BACKENDS[backend()])],
    )
    if is_granted:
        crown(project.tracking_uri, name, registered.version)
    return {"granted": is_granted, "reason": reason}


def _beaten(in_force: Champion | None, is_own: bool) -> str:
    """The version that the winner has to beat, or had to when it was put in force itself; or empty."""
    if in_force is None:
        return ""
    return in_force.tags.get("beaten", "") if is_own else str(in_force.version)


def judge(
    evidence: Mapping[str, Any], in_force: Champion | None, tags: Mapping[str, str]
) -> tuple[bool, str]:
    """Whether the winner earns the alias, and why or why not; `in_force` is another model, or None."""
    judged = evidence["judged"]
    low, high = judged["gain"]["low"], judged["gain"]["high"]
    gain = f"{_span(judged['metric'], low, high)} over the baseline"
    if low <= 0:
        return False, f"its 95 % interval, {gain}, does not exclude zero"
    of_all = f"it beats the baseline ({gain}) and the model that was in force"
    if in_force is None:
        alone = f"it beats the baseline ({gain}), and no other model is in force"
        return True, of_all if "beaten" in tags else alone
    if in_force.tags.get("data_sha256") != tags["data_sha256"]:
        return False, (
            f"version {in_force.version}, in force, was measured on other data; "
            "remove its alias champion to let this one in"
        )
    if in_force.tags.get("judged_by", "test_accuracy") != judged["metric"]:
        return False, (
            f"version {in_force.version}, in force, was judged by another metric; "
            "remove its alias champion to let this one in"
        )
    theirs = json.loads(in_force.tags.get("test_scores", in_force.tags["test_accuracies"]))
    lead = statistics.welch_interval(judged["winner"], theirs)
    against = f"{_span(judged['metric'], lead.low, lead.high)} over version {in_force.version}, in force"
    if lead.low <= 0:
        return False, f"its 95 % interval, {against}, does not exclude zero"
    return True, of_all


def _span(metric: str, low: float, high: float) -> str:
    """A gain in words: in points where it is one of shares."""
    if metric == "test_loss":
        return f"{low:+.4f} to {high:+.4f} nats less test loss"
    return f"{100 * low:+.2f} to {100 * high:+.2f} points of {metric.replace('_', ' ')}"


def _example(bench: Bench) -> np.ndarray:
    """A few raw training images: (3, height, width, channels), uint8."""
    arrays = data.load(bench.project.data(bench.study.name), ("train",))["train"]
    return np.asarray(arrays.images[:3])
