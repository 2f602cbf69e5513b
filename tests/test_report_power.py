"""What a report says of the differences that its comparisons could have resolved."""

from __future__ import annotations

from findings import FIXED, made

from pipeline.report import markdown
from pipeline.report.power import of_pair, resolved

MIXED = [0.9768, 0.9781, 0.9772, 0.9775, 0.9779]


def test_what_is_resolved_needs_no_more_seeds() -> None:
    """After a resolved difference stands the smallest one that could have been, and nothing else."""
    [told] = resolved(made(compare=FIXED))
    assert told.endswith("resolve true differences from 0.05 points on, in four studies of five.")


def test_what_is_not_resolved_is_told_with_the_seeds_that_it_takes() -> None:
    """After an open difference the report says how many seeds would resolve one of its size."""
    findings = made(MIXED, compare=FIXED)
    findings.conclusion["resolution"] = {"smallest": 0.004, "limit": 0.0001, "num_seeds": 1_200}
    assert "To resolve one of 0.01 points so often takes 1,200 seeds." in markdown(findings)


def test_inputs_may_hide_what_no_number_of_seeds_resolves() -> None:
    """Where the inputs are too few the report says so instead of asking for seeds."""
    findings = made(MIXED, compare=FIXED)
    findings.conclusion["resolution"] = {"smallest": 0.004, "limit": 0.003, "num_seeds": None}
    assert (
        "No number of seeds resolves one of 0.01 points so often: 10,000 test images alone hide less than "
        "0.30 points."
    ) in markdown(findings)


def test_arms_have_a_resolution_of_their_own() -> None:
    """The best and the next on val, over what their difference is told over."""
    findings = made()
    [group] = findings.conclusion["arms"]
    [told] = of_pair(findings, group, "keras_tuner")
    assert told.startswith("5 seeds and the validation images resolve true differences from 0.10 points on")
    assert "To resolve one of 0.03 points so often takes 32 seeds." in told
    assert f"Between optuna and keras_tuner, {told}" in markdown(findings).replace("\\", "")


def test_where_nothing_varies_nothing_is_told() -> None:
    """Models whose difference no seed changes have no resolution over seeds."""
    findings = made()
    [group] = findings.conclusion["arms"]
    group["ahead_of"]["keras_tuner"] = {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert of_pair(findings, group, "keras_tuner") == []
