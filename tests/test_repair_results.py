"""The result files beside a study that are not as it was recorded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import TINY, write_study
from mending import HEALTHY, is_mended, record, told

from pipeline.files import write_json
from pipeline.records.project import Project
from pipeline.records.recorded import finish
from pipeline.stages.prepare import check
from pipeline.stages.repair import repair
from pipeline.stages.search import search

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("file", "harm"),
    [
        ("trials.csv", Path.unlink),
        ("curves.csv", lambda path: path.write_text(path.read_text()[:-20])),
        ("baseline.csv", lambda path: path.write_text(path.read_text().replace("complete", "pruned"))),
        ("baseline-curves.csv", Path.unlink),
    ],
)
def test_result_files_are_written_from_the_record(ran: Path, file: str, harm: Callable) -> None:
    """One that is missing or changed becomes what it was, to the byte; nothing is trained."""
    path = ran / "studies/tiny" / file
    before = path.read_bytes()
    harm(path)
    assert is_mended(ran, f"studies/tiny/{file} is ")
    assert path.read_bytes() == before


def test_metrics_follow_from_the_conclusion(ran: Path) -> None:
    """The report is written again."""
    path = ran / "studies/tiny/metrics.json"
    before = path.read_bytes()
    path.write_text("{}")
    assert is_mended(ran, "metrics.json is not what winner/conclusion.json says")
    assert path.read_bytes() == before


@pytest.mark.parametrize("column", ["val_accuracy", "score", "test_accuracy"])
def test_a_confirm_file_that_was_changed_is_left_to_its_stage(ran: Path, column: str) -> None:
    """It rests on the test split, which repair does not open: the message names the command."""
    path = ran / "studies/tiny/confirm.csv"
    head, first, *rest = path.read_text().splitlines()
    cells = dict(zip(head.split(","), first.split(","), strict=True)) | {column: "0.999"}
    path.write_text("\n".join([head, ",".join(cells.values()), *rest, ""]))
    [line] = [line for line in told(ran, repair) if line.startswith("tiny: ")]
    assert "confirm.csv is not what was recorded" in line
    assert line.endswith("Run: dvc repro --force confirm@tiny")


@pytest.mark.parametrize("missing", ["confirm.csv", "winner/conclusion.json"])
def test_what_confirm_wrote_is_missed(ran: Path, missing: str) -> None:
    """Though it is finished."""
    (ran / "studies/tiny" / missing).unlink()
    assert f"studies/tiny/{missing} is missing, though confirm is finished." in told(ran)[1]


def test_an_edited_study_is_no_disagreement(ran: Path) -> None:
    """Its results are due, not wrong: nothing is found of another space, of more trials or of fewer."""
    for old, new in (("[16, 64], step", "[16, 48], step"), ("trials   = 5", "trials   = 9")):
        write_study(ran, "tiny", TINY.replace(old, new))
        assert told(ran) == HEALTHY
    write_study(ran, "tiny", TINY.replace("trials   = 5", "trials   = 3"))
    check(Project(ran), "tiny")
    search(Project(ran), "tiny")
    assert (ran / "studies/tiny/trials.csv").read_text().count("\n") == 7
    assert told(ran) == HEALTHY


def test_a_search_that_has_gone_on_is_compared_with_what_it_had_told(ran: Path) -> None:
    """Its end notes which trials the files hold; earlier versions noted a count alone, which may not tell."""
    folder, path = record(ran, "search-optuna"), ran / "studies/tiny/trials.csv"
    path.unlink()
    write_json(folder / "done.json", {"num_trials": 5, "num_outcomes": 4, "elapsed_seconds": 1.0})
    assert told(ran) == HEALTHY
    finish(folder, 5, range(4), 1.0)
    assert "studies/tiny/trials.csv is missing, though search is finished." in told(ran)[1]
