"""check: the study's plan.   prepare: raw data to train, val and test arrays with their card."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline import data
from pipeline.data.places import placed
from pipeline.files import write_folder, write_json
from pipeline.learners import own_data
from pipeline.records import fingerprint
from pipeline.records.project import Project
from pipeline.stages.context import examine
from pipeline.study import Study


def check(project: Project, name: str) -> tuple[Study, list[str]]:
    """Check the study file and write plan.json: every setting with its default, a table per stage.

    The study, and what trying its learner shows, in lines, where its data are prepared.

    Its table "depends" holds what else each stage's results depend on: code, packages, machine.

    Raises:
        StudyError: with every problem of the file.
        DataError: the data that lie on this machine are not as promised, as far as headers tell.
    """
    study, path = project.study(name), project.folder(name) / "plan.json"
    is_prepared = (project.data(name) / data.CARD).is_file()
    if study.dataset.function:
        raw = own_data.examine(study.dataset.function, project.root, project.folder(name))
    else:
        raw = data.examine_raw(study.dataset, project.root) or _known_raw(path)
    shown = examine(study, data.load_card(project.data(name))) if is_prepared else []
    depends = fingerprint.dependencies()
    depends["prepare"]["raw"] = raw
    write_json(path, {**study.plan(), "depends": depends})
    return study, shown


def _known_raw(path: Path) -> str:
    """What the plan says of raw files that are not on this machine: what was made of them may be."""
    try:
        return str(json.loads(path.read_text())["depends"]["prepare"]["raw"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def prepare(project: Project, name: str) -> dict[str, int]:
    """Read, check, split and encode the study's data; how many inputs each split has.

    Raises:
        DataError: the data are not as promised; nothing is written then.
    """
    study = project.study(name)
    if study.dataset.function:
        raw = own_data.read(study.dataset.function, project.root, project.folder(name))
    else:
        raw = data.read_raw(study.dataset, project.root)
    with placed(study.dataset.source):
        splits, about = data.encoded(data.split(raw, study.split, study.seed), raw)
    card = {**data.describe(splits, raw, about), "name": study.dataset.source}
    write_folder(project.data(name), lambda folder: data.save(splits, card, folder))
    return {name: len(part.labels) for name, part in splits.items()}
