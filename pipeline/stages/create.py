"""init, new: a project in any folder, and a study in it."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from importlib.resources import files as package_files
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.errors import StoreError
from pipeline.files import write_text
from pipeline.stages.project import Project
from pipeline.study import template
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
    if path.exists():
        raise StoreError.of(
            "must not be there yet.", "a study of this name", "Choose another name.", str(path)
        )
    listing = project.root / "params.yaml"
    listed = _listed(project, name) if listing.is_file() else ""
    write_text(path, template(name, num_in_flight()))
    yield f"Wrote studies/{name}/study.toml: edit it, then run: study check {name}"
    if listed:
        write_text(listing, listed)
        yield f"Listed {name} in params.yaml: study repro {name}, or dvc repro report@{name}, runs it."


def num_in_flight() -> int:
    """How many trials a new study has in flight: as many as train here side by side, within reason.

    More would only make each of them slower, and the first results later. Fewer than two are no use to a
    larger machine; with more than eight many trials are asked for before anything is learned from one.

    Raises:
        StudyError: STUDY_WORKERS is no whole number from 1 to 256.
    """
    return max(FEWEST_IN_FLIGHT, len(places(MOST_IN_FLIGHT)))


def _listed(project: Project, name: str) -> str:
    """The text of params.yaml with a study added, its comments kept.

    Raises:
        StudyError: it holds no list of studies.
    """
    project.listed()
    # The round-trip kind keeps comments and builds plain values only.
    reader = YAML(typ="rt")
    reader.indent(sequence=4, offset=2)
    listed = reader.load(project.root / "params.yaml")
    if name not in listed["studies"]:
        listed["studies"].append(name)
    # An empty list is written in brackets, where no comment could stand beside a name.
    listed["studies"].fa.set_block_style()
    text = io.StringIO()
    reader.dump(listed, text)
    return text.getvalue()
