"""The result files beside the study: whether they say what was recorded."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, StoreError
from pipeline.files import read_json, write_text
from pipeline.stages import baseline, search
from pipeline.stages.doctor.finding import Finding, Patient
from pipeline.stages.recorded import MEND, Recorded
from pipeline.stages.report import report
from pipeline.stages.rows import read_rows
from pipeline.stages.selection import candidates
from pipeline.study import Study
from pipeline.trial import Outcome

PLACE = "results"


def differences(patient: Patient) -> Iterator[Finding]:
    """Result files that are not what their stages would write from the records of the study as it is now."""
    study, current = patient.study, patient.in_use()
    if study is None:
        return
    finished = {one.title: one for one in patient.records() if one.folder.name in current and one.told}
    if one := finished.get("baseline"):
        yield from _unlike(patient, "baseline", baseline.files_of(study, one.told or ()))
    arms = {arm.name: finished.get(f"search {arm.name}") for arm in study.arms}
    told = {name: one.told for name, one in arms.items() if one and one.told}
    if len(told) == len(arms):
        yield from _unlike(patient, "search", search.files_of(study, told))
    if one := finished.get("confirm"):
        yield from _confirmed(patient, study, one)
    yield from _reported(patient)


def _unlike(patient: Patient, stage: str, files: Mapping[str, str]) -> Iterator[Finding]:
    """Files that the stage writes from the record alone."""
    for file, text in files.items():
        path = patient.project.folder(patient.name) / file
        shown = path.relative_to(patient.project.root)
        # Bytes, since a line's end is part of what DVC sees.
        if path.is_file() and path.read_bytes() == text.encode():
            continue
        what = "is not what was recorded" if path.is_file() else f"is missing, though {stage} is finished"
        cure = f"written from the record, as by: dvc repro --force {stage}@{patient.name}"
        yield Finding(PLACE, f"{shown} {what}.", cure, partial(write_text, path, text))


def _confirmed(patient: Patient, study: Study, one: Recorded) -> Iterator[Finding]:
    """confirm.csv, beside the record and, in what the test split gave, beside winner/evidence.json."""
    folder = patient.project.folder(patient.name)
    path, winner = folder / "confirm.csv", folder / "winner" / "evidence.json"
    shown = path.relative_to(patient.project.root)
    cure = f"Run: dvc repro --force confirm@{patient.name}"
    if not path.is_file() or not winner.is_file():
        missing = shown if not path.is_file() else winner.relative_to(patient.project.root)
        yield Finding(PLACE, f"{missing} is missing, though confirm is finished.", cure)
        return
    try:
        rows, evidence = read_rows(path), read_json(winner, MEND)
        is_same = _measured(rows) == _expected(study, one, folder) and _tested(rows) == _evident(evidence)
    except (DataError, StoreError, KeyError, TypeError, ValueError, csv.Error):
        is_same = False
    if not is_same:
        yield Finding(PLACE, f"{shown} is not what was recorded and what winner/evidence.json says.", cure)


def _measured(rows: list[dict[str, str]]) -> set[tuple[str, ...]]:
    """What confirm.csv says of val, by candidate and repeat."""
    return {
        tuple(row[name] for name in ("arm", "number", "repeat", "val_loss", "val_accuracy", "score"))
        for row in rows
        if row["arm"]
    }


def _expected(study: Study, one: Recorded, folder: Path) -> set[tuple[str, ...]]:
    """What the record says of val; a candidate with a failed repeat is not listed."""
    repeats, outcomes = one.task.repeats, one.told or []
    places = [(known.arm, str(known.number)) for known in candidates(study, folder / "trials.csv")]
    groups = [outcomes[start : start + repeats] for start in range(0, len(outcomes), repeats)]
    return {
        (*place, *_row(repeat, outcome))
        for place, group in zip(places, groups, strict=True)
        for repeat, outcome in enumerate(group)
        if all(other.state == "complete" for other in group)
    }


def _row(repeat: int, outcome: Outcome) -> tuple[str, ...]:
    last = outcome.curve[-1]
    return tuple(map(str, (repeat, last["val_loss"], last["val_accuracy"], outcome.score)))


def _tested(rows: list[dict[str, str]]) -> dict[str, list[float]]:
    """What confirm.csv says of test, by role."""
    roles = {"baseline": "baseline", "winner": "candidate-1"}
    return {
        name: [float(row["test_accuracy"]) for row in rows if row["role"] == role]
        for name, role in roles.items()
    }


def _evident(evidence: Mapping[str, Any]) -> dict[str, list[float]]:
    return {name: evidence[name]["test_accuracies"] for name in ("baseline", "winner")}


def _reported(patient: Patient) -> Iterator[Finding]:
    """metrics.json, beside winner/evidence.json."""
    folder = patient.project.folder(patient.name)
    path, winner = folder / "metrics.json", folder / "winner" / "evidence.json"
    if not path.is_file() or not winner.is_file():
        return
    # Loading the report's pictures takes longer than everything else that is looked at.
    from pipeline.report import metrics

    try:
        is_same = json.loads(path.read_bytes()) == metrics(json.loads(winner.read_bytes()))
    except (KeyError, TypeError, ValueError):
        is_same = False
    if not is_same:

        def rewrite() -> None:
            report(patient.project, patient.name)

        shown = path.relative_to(patient.project.root)
        cure = f"the report is written again, as by: dvc repro --force report@{patient.name}"
        yield Finding(PLACE, f"{shown} is not what winner/evidence.json says.", cure, rewrite)
