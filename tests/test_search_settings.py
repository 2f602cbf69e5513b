"""Settings of a search that a study file may have, from the file to the report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import ONE_ARM, copy_project, run_in, write_study

from pipeline.records.ledger import Ledger
from pipeline.records.rows import read_rows

pytestmark = pytest.mark.slow
SEARCH = "\n[search]\n"


def changed() -> str:
    """The tiny study with other lines in its tables."""
    text = ONE_ARM.replace("epochs = 3", "epochs = 8\nearly_stopping = 1")
    text = text.replace('{ maximize = "val_accuracy" }', '{ maximize = "val_macro_f1", at = "best" }')
    return text.replace(SEARCH, SEARCH + "at_most = { parameters = 4000 }\ntrial_minutes = 30\n")


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with all of them, run to its report, and one that starts from it, searched."""
    folder = copy_project(tmp_path_factory.mktemp("settled"))
    write_study(folder, "tiny", changed())
    done = run_in(folder, "study", "repro", "tiny")
    assert done.returncode == 0, done.stdout
    assert "configurations were refused by at_most" in done.stdout
    write_study(folder, "next", changed().replace(SEARCH, f'{SEARCH}start_from = "tiny"\n'))
    for stage in ("prepare", "search"):
        done = run_in(folder, "study", stage, "next")
        assert done.returncode == 0, done.stdout
    (folder / "next.txt").write_text(done.stdout)
    return folder


def trials(folder: Path, name: str) -> list[dict[str, str]]:
    return read_rows(folder / "studies" / name / "trials.csv")


def test_early_stopping_ends_trials_and_the_best_epoch_is_scored(settled: Path) -> None:
    """A complete trial may have fewer epochs; its score is macro F1, and its row is of the best epoch."""
    rows = [row for row in trials(settled, "tiny") if row["state"] == "complete"]
    assert any(int(row["epochs"]) < 8 for row in rows)
    assert all(row["score"] == row["val_macro_f1"] for row in rows)
    [path] = (settled / "mlruns/searches/tiny").glob("search-*/record.jsonl")
    outcomes = Ledger(path).outcomes.values()
    assert any(one.epoch < len(one.curve) for one in outcomes if one.state == "complete")


def test_no_trial_has_more_weights_than_the_study_allows(settled: Path) -> None:
    """64 inputs and 10 classes: (64 + 1) h + (h + 1) 10 weights in one layer of h."""
    units = [int(row["hidden_units"]) for row in trials(settled, "tiny")]
    assert len(units) == 8
    assert max(65 * h + 10 * (h + 1) for h in units) <= 4000


def test_the_winner_is_judged_by_the_objective(settled: Path) -> None:
    """Macro F1 on test, five fresh seeds against five."""
    conclusion = json.loads((settled / "studies/tiny/winner/conclusion.json").read_text())
    assert conclusion["judged"]["metric"] == "test_macro_f1"
    assert conclusion["judged"]["winner"] != conclusion["winner"]["test_accuracies"]
    assert "macro f1" in conclusion["champion"]["reason"]


def test_a_search_that_starts_from_another_says_how_many_trials_it_is_told(settled: Path) -> None:
    """All complete ones: the spaces are the same; and its own first trials are not the other's."""
    told = sum(row["state"] == "complete" for row in trials(settled, "tiny"))
    assert f"learns from {told} trials of tiny" in (settled / "next.txt").read_text()
    assert trials(settled, "next")[0]["learning_rate"] != trials(settled, "tiny")[0]["learning_rate"]


def test_such_a_study_replays(settled: Path) -> None:
    """Every trial again, to the bit."""
    done = run_in(settled, "study", "replay", "tiny")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("verified") == 8


@pytest.mark.parametrize("limit", ["{ weights = 1 }", "{ parameters = 0 }", "7"])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, limit: str) -> None:
    """In one message, with its place."""
    folder = tmp_path / "project"
    write_study(folder, "tiny", ONE_ARM.replace(SEARCH, f"{SEARCH}at_most = {limit}\n"))
    done = run_in(folder, "study", "check", "tiny")
    assert done.returncode == 2
    assert "[search] at_most" in done.stdout
    assert "Traceback" not in done.stdout
