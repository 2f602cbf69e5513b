"""check: the study's plan.   prepare: raw images to train, val and test arrays with their card."""

from __future__ import annotations

from pipeline import data
from pipeline.data.places import placed
from pipeline.files import write_folder, write_json
from pipeline.stages import fingerprint
from pipeline.stages.project import Project
from pipeline.stages.running import examine
from pipeline.study import Study


def check(project: Project, name: str) -> tuple[Study, list[str]]:
    """Check the study file and write plan.json: every setting with its default, a table per stage.

    The study, and what trying its learner shows, in lines, where its data are prepared.

    Its table "depends" holds what else each stage's results depend on: code, packages, machine.

    Raises:
        StudyError: with every problem of the file.
    """
    study = project.study(name)
    is_prepared = (project.data(name) / data.CARD).is_file()
    shown = examine(study, data.load_card(project.data(name))) if is_prepared else []
    write_json(project.folder(name) / "plan.json", {**study.plan(), "depends": fingerprint.dependencies()})
    return study, shown


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
