"""The result files beside a study: whether they say what was recorded."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from pipeline.errors import DataError, StoreError
from pipeline.files import read_json, write_text
from pipeline.records.project import Project
from pipeline.records.recorded import MEND, Recorded
from pipeline.records.rows import read_rows
from pipeline.stages import baseline, search
from pipeline.stages.answers import Contender
from pipeline.stages.conclusion import confirmed
from pipeline.stages.context import Result
from pipeline.stages.leftovers import Finding
from pipeline.stages.report import report
from pipeline.stages.selection import select
from pipeline.study import Study
from pipeline.trial import Outcome

ON_VAL = ("val_loss", "val_accuracy")
MEASURED = ("role", "arm", "number", "repeat", *ON_VAL, "score")


def check(project: Project, study: Study, records: Sequence[Recorded]) -> Iterator[Finding]:
    """Files that are not what their stages would write from the records of the study as it is now."""
    folder, told = project.folder(study.name), {one.title: one.told for one in records if one.told}
    if outcomes := told.get("baseline"):
        yield from _unlike(project, folder, "baseline", baseline.files_of(study, outcomes))
    arms = {arm.name: told.get(f"search {arm.name}") or [] for arm in study.arms}
    if all(arms.values()):
        yield from _unlike(project, folder, "search", search.files_of(study, arms))
    for one in records:
        if one.task.stage == "confirm" and one.told:
            yield from _confirmed(project, study, one, told.get("baseline"))
    yield from _reported(project, folder)


def _unlike(project: Project, folder: Path, stage: str, files: Mapping[str, str]) -> Iterator[Finding]:
    """Files that the stage writes from the record alone."""
    for file, text in files.items():
        path = folder / file
        # Bytes, since a line's end is part of what DVC sees.
        if not path.is_file() or path.read_bytes() != text.encode():
            what = "is not what was recorded" if path.is_file() else f"is missing, though {stage} is finished"
            cure = f"written from the record, as by: dvc repro --force {stage}@{folder.name}"
            yield Finding(f"{path.relative_to(project.root)} {what}.", cure, partial(write_text, path, text))


def _confirmed(
    project: Project, study: Study, one: Recorded, plain: Sequence[Outcome] | None
) -> Iterator[Finding]:
    """confirm.csv, beside the record and, in what the test split gave, beside winner/conclusion.json."""
    folder = project.folder(study.name)
    path, winner = folder / "confirm.csv", folder / "winner" / "conclusion.json"
    cure = f"Run: dvc repro --force confirm@{study.name}"
    for missing in (each for each in (path, winner) if not each.is_file()):
        yield Finding(f"{missing.relative_to(project.root)} is missing, though confirm is finished.", cure)
        return
    try:
        rows, conclusion = read_rows(path), read_json(winner, MEND)
        measured = {
            tuple(row[name] for name in MEASURED) for row in rows if plain or row["role"] != "baseline"
        }
        is_same = measured == {*_expected(study, one, plain or (), path)}
        tested = [float(row["test_accuracy"]) for row in rows if row["test_accuracy"]]
        parts = [conclusion[name] for name in ("baseline", "winner", "parts") if conclusion[name]]
        is_same = is_same and tested == [each for part in parts for each in part["test_accuracies"]]
    except (DataError, StoreError, KeyError, TypeError, ValueError, csv.Error):
        is_same = False
    if not is_same:
        shown = path.relative_to(project.root)
        yield Finding(f"{shown} is not what was recorded and what winner/conclusion.json says.", cure)


def _expected(study: Study, one: Recorded, plain: Sequence[Outcome], path: Path) -> Iterator[tuple[str, ...]]:
    """The cells of confirm.csv that the records say."""
    trials, result = path.with_name("trials.csv"), Result(one.told or [], one.folder, one.key)
    baseline = Contender(study.baseline.configuration, plain, one.folder)
    for role, group in confirmed(select(study, trials), result, baseline, trials).groups.items():
        proposed = (group.candidate.arm, group.candidate.number) if group.candidate else ("", "")
        for repeat, outcome in enumerate(group.outcomes):
            on_val = (outcome.metrics.get(name, "") for name in ON_VAL)
            yield tuple(map(str, (role, *proposed, repeat, *on_val, outcome.score)))


def _reported(project: Project, folder: Path) -> Iterator[Finding]:
    """metrics.json, beside winner/conclusion.json."""
    path, winner = folder / "metrics.json", folder / "winner" / "conclusion.json"
    if not path.is_file() or not winner.is_file():
        return
    # Loading the report's pictures takes longer than everything else that is looked at.
    from pipeline.report import metrics

    try:
        is_same = json.loads(path.read_bytes()) == metrics(json.loads(winner.read_bytes()))
    except (KeyError, TypeError, ValueError):
        is_same = False
    if not is_same:
        sentence = f"{path.relative_to(project.root)} is not what winner/conclusion.json says."
        cure = f"the report is written again, as by: dvc repro --force report@{folder.name}"
        yield Finding(sentence, cure, partial(report, project, folder.name))
