"""A model of the user's own that fails while it is trained: the search goes on, the baseline ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import run_in
from test_own_model import LOOPED, MODEL, STUDY, TRAIN, own, project, run

from pipeline.records.rows import read_rows

__all__ = ["own"]


@pytest.mark.slow
def test_a_configuration_that_fails_fails_its_trial_with_the_users_line(own: Path) -> None:
    """The search goes on, whether it raises or ends its process, where its cost is counted too."""
    fails = 'if config["width"] in (5, 6, 7):\n        raise ValueError("odd")\n'
    fails += '    if config["width"] in (11, 12):\n        import os; os._exit(3)\n    return model'
    project(own, MODEL.replace("return model", fails), STUDY.replace("trials = 4", "trials = 8"))
    run(own, "prepare", "search")
    reasons = {row["reason"] for row in read_rows(own / "studies/own/trials.csv")}
    died = "the training process died 2 times (exit status 3)"
    assert reasons == {"", "ValueError: odd (model.py, line 13)", died}


@pytest.mark.slow
def test_a_baseline_that_fails_is_told_at_once_and_trained_when_its_cause_is_mended(own: Path) -> None:
    """Also where that is in no key, as a file that the model reads."""
    reads = TRAIN.replace(
        "    while True", '    open("settings") if len(labels) > 8 else None\n    while True'
    )
    project(own, MODEL + reads, LOOPED)
    run(own, "prepare")
    done = run_in(own, "study", "baseline", "own")
    assert done.returncode == 2
    assert "[baseline], then run again" in done.stdout
    assert re.search(r"FileNotFoundError: .* \(model.py, line 18\)", done.stdout), done.stdout
    (own / "settings").touch()
    run(own, "baseline")
    assert {row["state"] for row in read_rows(own / "studies/own/baseline.csv")} == {"complete"}
