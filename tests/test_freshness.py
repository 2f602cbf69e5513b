"""Results of another search are told from those of the study as it is now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.data import load_card
from pipeline.errors import DataError
from pipeline.records import fingerprint
from pipeline.records.project import Project
from pipeline.records.recorded import DONE
from pipeline.stages.freshness import check_conclusion, check_search

pytestmark = pytest.mark.slow


def check(folder: Path) -> None:
    project = Project(folder)
    check_search(project, project.study("tiny"), load_card(project.data("tiny")))


def test_what_a_search_wrote_passes_with_its_record_and_without(ran: Path) -> None:
    """Results may come from another machine, whose records are not here."""
    check(ran)
    for record in ran.glob("mlruns/searches/tiny/search-*/record.jsonl"):
        record.unlink()
    check(ran)


def test_trials_of_an_older_search_are_not_confirmed(ran: Path) -> None:
    """The study, or the code, has changed since: the message says in what."""
    [folder] = (ran / "mlruns/searches/tiny").glob("search-optuna-*")
    facts = json.loads((folder / "facts.json").read_text())
    facts["packages"]["keras"] = "2.0"
    key = fingerprint.key(facts)
    folder = folder.rename(folder.with_name(f"search-optuna-{key}"))
    (folder / "facts.json").write_text(json.dumps(facts))
    with pytest.raises(DataError, match=r"before this has changed: packages\.keras"):
        check(ran)


def test_trials_of_a_search_that_stopped_are_not_confirmed(ran: Path) -> None:
    """The file may still be that of an earlier search; the message names the command."""
    next(ran.glob("mlruns/searches/tiny/search-optuna-*")).joinpath(DONE).unlink()
    with pytest.raises(DataError, match=r"stopped before its end\. Run: study search tiny"):
        check(ran)


def test_trials_that_the_search_has_not_recorded_are_not_confirmed(ran: Path) -> None:
    """Whoever edits a score, or puts back an older file, is told."""
    path = ran / "studies/tiny/trials.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([lines[0], *reversed(lines[1:])]))
    with pytest.raises(DataError, match="other trials than the search has recorded"):
        check(ran)


def test_a_report_is_not_written_of_candidates_that_are_none_any_more(ran: Path) -> None:
    """After a search has grown, confirm must choose again."""
    folder, study = ran / "studies/tiny", Project(ran).study("tiny")
    conclusion = json.loads((folder / "winner/conclusion.json").read_text())
    check_conclusion(study, folder, conclusion)
    conclusion["candidates"][0]["search_score"] = 0.5
    with pytest.raises(DataError, match="which is no candidate any more"):
        check_conclusion(study, folder, conclusion)
