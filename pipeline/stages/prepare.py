"""check: the study's plan.   prepare: raw images to train, val and test arrays with their card."""

from __future__ import annotations

from pipeline import data
from pipeline.data.places import placed
from pipeline.files import write_folder, write_json
from pipeline.stages import fingerprint
from pipeline.stages.project import Project
from pipeline.study import Study


def check(project: Project, name: str) -> Study:
    """Check the study file and write plan.json: every setting with its default, a table per stage.

    Its table "depends" holds what else each stage's results depend on: code, packages, machine.

    Raises:
        StudyError: with every problem of the file.
    """
    study = project.study(name)
    write_json(project.folder(name) / "plan.json", {**study.plan(), "depends": fingerprint.dependencies()})
    return study


def prepare(project: Project, name: str) -> dict[str, int]:
    """Read, check and split the study's images; how many each split has.

    Raises:
        DataError: the images are not as promised; nothing is written then.
    """
    study = project.study(name)
    raw = data.read_raw(study.dataset, project.root)
    source = study.dataset.name or study.dataset.npz or study.dataset.folder
    with placed(str(source)):
        splits = data.split(raw, study.split, study.seed)
    card = {**data.describe(splits, raw), "name": source}
    write_folder(project.data(name), lambda folder: data.save(splits, card, folder))
    return dict(card["num_images"])
