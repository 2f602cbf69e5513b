"""How often the test split was opened: no look is lost, a repeat is none, and no result says it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import ROOT, run_in
from test_gc import cleaned

from pipeline.errors import StoreError
from pipeline.records.openings import note_opening, num_subjects, openings, sentence
from pipeline.records.project import Project

PLAIN = {"dropout": 0.0}


def opened(path: Path, *dropouts: float) -> str:
    """What is said after an opening for each of these winners."""
    for dropout in dropouts:
        note_opening(path, "k" * 16, {"winner": {"dropout": dropout}, "baseline": PLAIN}, "d" * 64)
    return sentence(openings(path))


def test_each_opening_is_kept(tmp_path: Path) -> None:
    """A line holds the time, the record's key, both configurations and the data."""
    opened(tmp_path / "work/openings.jsonl", 0.1)
    [one] = openings(tmp_path / "work/openings.jsonl")
    assert (one.key, one.data) == ("k" * 16, "d" * 64)
    assert one.configurations == {"winner": {"dropout": 0.1}, "baseline": PLAIN}
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", one.date)


@pytest.mark.parametrize(
    ("winners", "told"),
    [
        ((), ""),
        ((0.1,), "The test split was opened once."),
        (
            (0.1, 0.1),
            "opened 2 times, 0 of them for other configurations; 1 of them repeated an earlier one.",
        ),
        ((0.1, 0.2), "opened 2 times, 1 of them for other configurations."),
        ((0.1, 0.2, 0.1, 0.3), "opened 4 times, 3 of them for other configurations; 1 of them repeated"),
    ],
)
def test_looks_for_other_configurations_are_told_apart(tmp_path: Path, winners, told: str) -> None:
    """The same configurations again are a repeat; others than the last time's are counted."""
    assert told in opened(tmp_path / "openings.jsonl", *winners)
    assert num_subjects(openings(tmp_path / "openings.jsonl")) == len({*winners})


def test_a_line_that_a_kill_has_cut_short_is_none(tmp_path: Path) -> None:
    """The split is read after the line is whole: half a line is no look, and the next one takes its place."""
    path = tmp_path / "openings.jsonl"
    opened(path, 0.1, 0.2)
    path.write_bytes(path.read_bytes()[:-9])
    assert len(openings(path)) == 1
    assert opened(path, 0.3).startswith("The test split was opened 2 times, 1 of them")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    """What a hand has changed is named with its line, never counted wrong."""
    path = tmp_path / "openings.jsonl"
    opened(path, 0.1, 0.2)
    path.write_text(path.read_text().replace("0.1", "0.7", 1))
    with pytest.raises(StoreError, match=r"line 1 is damaged. Restore the file from a copy, or remove it"):
        openings(path)


def test_confirm_alone_reads_the_test_split() -> None:
    """No other code of the pipeline asks for the prepared test arrays."""
    asks = re.compile(r"""(?:load|Split)\([^)]*["']test["']|test_(?:images|rows|labels)""")
    found = [path.name for path in (ROOT / "pipeline").rglob("*.py") if asks.search(path.read_text())]
    assert found == ["confirm.py"]


@pytest.mark.slow
def test_another_look_changes_no_result(ran: Path) -> None:
    """confirm again is one more opening and gives the same files; report and status say it, gc keeps it."""
    project, folder = Project(ran), ran / "studies/tiny"
    names = ("confirm.csv", "report.md", "report.html", "metrics.json", "winner/conclusion.json")
    before = {name: (folder / name).read_bytes() for name in names}
    assert run_in(ran, "study", "confirm", "tiny").returncode == 0
    told = "The test split was opened 2 times, 0 of them for other configurations; 1 of them repeated"
    assert told in run_in(ran, "study", "report", "tiny").stdout
    assert told in run_in(ran, "study", "status", "tiny").stdout
    assert {name: (folder / name).read_bytes() for name in names} == before
    cleaned(ran)
    assert len(openings(project.openings("tiny"))) == 2


@pytest.mark.slow
def test_the_registry_counts_sets_of_configurations(ran: Path) -> None:
    """The winner's version in MLflow has, as a tag, for how many sets of configurations test was opened."""
    from mlflow import MlflowClient

    [version] = MlflowClient(f"sqlite:///{ran}/mlruns/mlflow.db").search_model_versions("name = 'tiny'")
    assert version.tags["test_openings"] == "1"
