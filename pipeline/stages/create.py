"""init, new, import-space: a project in any folder, and a study in it."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.errors import StoreError, StudyError, nearest
from pipeline.files import write_bytes, write_folder, write_text
from pipeline.learners import Found, own_code
from pipeline.learners.measuring import Measuring
from pipeline.records.project import Project
from pipeline.stages.imported import of_hypermodel, placed, tables
from pipeline.study import DataShape, check_name, parse, template
from pipeline.workers import places

# What a project begins with, by its place: a file of the package's template, or what it holds.
TEMPLATE = {
    "dvc.yaml": "stages.yaml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    "data/raw/README.md": "raw.md",
}
PARAMS = "# The studies that are run, each a folder of studies/; `study new` adds a name.\nstudies: []\n"
DVC_IGNORES = "/tmp\n/cache\n"  # noqa: S108  a folder of DVC's own
# Of the data set that a new study file names.
DATA = DataShape((28, 28, 1), 10, 0, 0)
MODEL = '''\
"""{target} of {file}, built of a configuration. Written by `study import-space`."""

from {module} import {target}

from pipeline.learners.hypermodel import built


def build(config, input_shape, num_classes):
    """Pixels from 0 to 255 in, class probabilities out."""
    return built({target}, config, input_shape, num_classes)
'''
COMPILED_HERE = "is not compiled: it gets the study's optimizer, learning_rate, schedule and loss"
RAW = (
    "It gets pixels from 0 to 255: if it was given them divided, begin with keras.layers.Rescaling(1 / 255)."
)
FEWEST_IN_FLIGHT, MOST_IN_FLIGHT = 2, 8


def init(folder: Path) -> Iterator[str]:
    """Make a project in a folder, which may hold other things; what stands there already is left as it is.

    Raises:
        StoreError: there is a project already, or the folder cannot be written.
    """
    if (folder / "studies").exists() or (folder / "dvc.yaml").exists():
        advice = "Run there: study new NAME. Or choose another folder."
        raise StoreError.of("must be no project yet.", "studies/ or dvc.yaml", advice, str(folder))
    made = package_files("pipeline") / "template"
    texts = {place: (made / name).read_text() for place, name in TEMPLATE.items()}
    texts |= {"params.yaml": PARAMS, ".dvc/config": _config(folder), ".dvc/.gitignore": DVC_IGNORES}
    for place, text in texts.items():
        if not (folder / place).exists():
            write_text(folder / place, text)
            yield f"Wrote {place}"
    (folder / "studies").mkdir()
    where = "" if folder.resolve() == Path.cwd() else f"cd {folder}, then "
    yield f"A project is there. Run: {where}study new NAME"


def _config(folder: Path) -> str:
    """DVC's settings: nothing is reported to anyone, and no git is asked for where there is none."""
    git = shutil.which("git")
    nearest = next(one for one in (folder, *folder.absolute().parents) if one.is_dir())
    words = [git or "git", "-C", str(nearest), "rev-parse", "--git-dir"]
    is_known = git is not None and subprocess.run(words, capture_output=True, check=False).returncode == 0
    return "[core]\n    analytics = false\n" + ("" if is_known else "    no_scm = true\n")


def new(project: Project, name: str) -> Iterator[str]:
    """Write a study file that can be run as it is, and list it for `dvc repro`."""
    path = project.folder(name) / "study.toml"
    listed = _listed(project, name, path)
    write_text(path, template(name, num_in_flight()))
    yield f"Wrote studies/{name}/study.toml: edit it, then run: study check {name}"
    yield from _list(project, name, listed)


def import_space(project: Project, word: str, name: str | None) -> Iterator[str]:
    """Write a study of a Keras Tuner hypermodel, a copy of its file beside it; list it for `dvc repro`.

    Args:
        word: old.py:MyHyperModel, a file and a class, function or HyperModel in it.
        name: of the study; by default that of the file.

    Raises:
        StudyError: there is no such hypermodel, or a study file cannot say what it declares.
        ModelError: it cannot be built.
    """
    path, target, copied = _hypermodel(word)
    name = check_name(name or re.sub("[^a-z0-9]+", "-", path.stem.lower()).strip("-")[:64])
    listed = _listed(project, name, project.folder(name))
    root = project.root.resolve()
    root = root if path.is_relative_to(root) else path.parent
    recorded = Measuring(own_code.settings_of(path, root, target)).recorded(DATA)
    text = of_hypermodel(name, num_in_flight(), f"{target} of {path.name}", tables(recorded))

    def fill(folder: Path) -> None:
        write_text(folder / "study.toml", text)
        write_text(folder / "model.py", MODEL.format(target=target, file=path.name, module=path.stem))
        for place in copied:
            write_bytes(folder / place, (path.parent / place).read_bytes())
        _refuse_unsaid(text, name, Found(project.root, folder), recorded)

    write_folder(project.folder(name), fill)
    yield f"Wrote studies/{name}/study.toml, model.py, and what is trained, a copy of {', '.join(copied)}"
    keeps = "keeps its own optimizer, rate and loss" if recorded["compiled"] else COMPILED_HERE
    yield f"{target} {keeps}."
    if not recorded["rescales"]:
        yield RAW
    yield f"Choose its dataset in the study file, then run: study check {name}"
    yield from _list(project, name, listed)


def _hypermodel(word: str) -> tuple[Path, str, list[str]]:
    """The file and the name in "old.py:MyHyperModel", and what is copied: it and what it imports."""
    file, _, target = word.rpartition(":")
    path = Path(file).resolve()
    if not file or not path.is_file():
        advice = "Write, for example: study import-space old.py:MyHyperModel."
        raise StudyError.of("must name a file and what builds models in it.", word, advice, "hypermodel")
    names = list(own_code.names(path))
    if target not in names:
        must = f"{path.name} must have {target}."
        raise StudyError.of(must, ", ".join(names) or "no name", nearest(target, names), "hypermodel")
    copied = list(own_code.sources(path, path.parent))
    if not path.stem.isidentifier() or path.stem in sys.stdlib_module_names or "model.py" in copied:
        must = "must have a name that Python can import beside the study's own model.py."
        received = ", ".join(copied)
        raise StudyError.of(must, received, "Rename it, to hypermodel.py for example.", str(path))
    return path, target, copied


def _refuse_unsaid(text: str, name: str, learners: Found, recorded: Mapping[str, Any]) -> None:
    """Raise what a study file of this text is refused for, each problem placed in the user's own file."""
    try:
        parse(text, name, learners)
    except StudyError as error:
        raise StudyError(*placed(error.problems, recorded)) from error


def num_in_flight() -> int:
    """How many trials a new study has in flight: as many as train here side by side, within reason.

    More would only make each of them slower, and the first results later. Fewer than two are no use to a
    larger machine; with more than eight many trials are asked for before anything is learned from one.

    Raises:
        StudyError: STUDY_WORKERS is no whole number from 1 to 256.
    """
    return max(FEWEST_IN_FLIGHT, len(places(MOST_IN_FLIGHT)))


def _listed(project: Project, name: str, path: Path) -> str:
    """The text of params.yaml with a new study added, its comments kept; empty where there is no such file.

    Raises:
        StoreError: there is a study of this name: its path is taken.
        StudyError: params.yaml holds no list of studies.
    """
    if path.exists():
        raise StoreError.of(
            "must not be there yet.", "a study of this name", "Choose another name.", str(path)
        )
    listing = project.root / "params.yaml"
    if not listing.is_file():
        return ""
    project.listed()
    # The round-trip kind keeps comments and builds plain values only.
    reader = YAML(typ="rt")
    reader.indent(sequence=4, offset=2)
    listed = reader.load(listing)
    if name not in listed["studies"]:
        listed["studies"].append(name)
    # An empty list is written in brackets, where no comment could stand beside a name.
    listed["studies"].fa.set_block_style()
    text = io.StringIO()
    reader.dump(listed, text)
    return text.getvalue()


def _list(project: Project, name: str, listed: str) -> Iterator[str]:
    if listed:
        write_text(project.root / "params.yaml", listed)
        yield f"Listed {name} in params.yaml: study repro {name}, or dvc repro report@{name}, runs it."
