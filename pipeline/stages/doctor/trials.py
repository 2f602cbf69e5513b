"""Optuna's copies of the searches: left running, missing, or not what was recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pipeline.engines import Assignment, copies
from pipeline.engines.copies import Copy
from pipeline.errors import StoreError
from pipeline.space import Choice, Dimension, Range, Space
from pipeline.stages.doctor.finding import Finding, Patient, counted, from_error, listed
from pipeline.stages.recorded import Recorded
from pipeline.stages.search import storage_name
from pipeline.study import Arm, Objective, Search

PLACE = "Optuna"


def differences(patient: Patient) -> Iterator[Finding]:
    """Everything in which Optuna's storage is not what was recorded."""
    project, name = patient.project, patient.name
    known = {_name(name, one): one for one in patient.records() if one.task.stage == "search"}
    arms = {one.task.arm for one in known.values()} | {arm.name for arm in getattr(patient.study, "arms", ())}
    pattern = re.compile(f"{name}-({'|'.join(map(re.escape, sorted(arms)))})-[0-9a-f]{{8}}")
    try:
        there = copies.read(project.optuna_url, lambda found: bool(pattern.fullmatch(found)))
    except StoreError as error:
        yield from from_error(PLACE, error)
        return
    for title, one in known.items():
        assignment = assignment_of(one.facts["study"])
        copy = copies.compare(there.get(title), one.outcomes, assignment.metric)
        mend = partial(copies.restore, project.optuna_url, title, assignment, one.outcomes)
        for sentence, cure in _sentences(one, copy):
            yield Finding(PLACE, sentence, cure, mend)
    for title in sorted({*there} - {*known}):
        # Of a record that was removed its copies are left, as history; but nothing can run there any more.
        if running := copies.compare(there[title], {}, "").running:
            sentence = (
                f"{title}: {counted(len(running), 'trial')} of a dead process RUNNING: {listed(running)}."
            )
            yield Finding(
                PLACE, sentence, "failed there", partial(copies.stop, project.optuna_url, title, {})
            )


def _sentences(one: Recorded, copy: Copy) -> Iterator[tuple[str, str]]:
    """What is wrong, and what mending does."""
    if not copy.is_there and one.outcomes:
        yield f"{one.title}: the storage does not know this search.", "written again from the record"
        return
    if copy.running:
        trials = counted(len(copy.running), "trial")
        yield f"{one.title}: {trials} of a dead process RUNNING: {listed(copy.running)}.", "ended there"
    if copy.missing:
        trials = counted(len(copy.missing), "recorded trial")
        yield f"{one.title}: {trials} missing there: {listed(copy.missing)}.", "written from the record"
    if copy.other:
        trials = counted(len(copy.other), "trial")
        yield (
            f"{one.title}: {trials} not what was recorded: {listed(copy.other)}.",
            "the search is written again from the record",
        )


def _name(study: str, one: Recorded) -> str:
    return storage_name(study, one.task.arm, one.facts["study"], one.facts["data"])


def assignment_of(tables: Mapping[str, Any]) -> Assignment:
    """What the engine of a recorded search was asked to do, but for its budget."""
    objective, arm = Objective(**tables["objective"]), tables["arm"]
    settings = {name: value for name, value in arm.items() if name in Search.model_fields}
    space = Space(tuple(_dimension(entry) for entry in tables["space"]))
    return Assignment(
        Arm(arm["name"], Search(**settings, trials=1), arm["fixed"]),
        space,
        # It proposes nothing, so no trial is filled up.
        {},
        tables["seed"],
        objective.metric,
        objective.is_maximized,
    )


def _dimension(entry: Mapping[str, Any]) -> Dimension:
    """An entry of the space, from what a plan says of it."""
    values = {name: value for name, value in entry.items() if name not in ("name", "when")}
    kind = Choice(tuple(values["values"])) if "values" in values else Range(**values)
    parent = (entry["when"][0], tuple(entry["when"][1])) if entry["when"] else None
    return Dimension(entry["name"], kind, parent)
