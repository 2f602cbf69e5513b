"""A project in any folder, with nothing but the installed package; and its stages without DVC."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import BIN, ROOT, TINY, Repro, environment, results, run_in, write_study

from pipeline.errors import StoreError, StudyError
from pipeline.records.project import Project
from pipeline.stages.create import init, new

STAGES = ["check", "prepare", "baseline", "search", "confirm", "report"]


def test_the_template_is_this_projects_own() -> None:
    """What a new project gets is what is tested here all day."""
    made = ROOT / "pipeline/template"
    assert (made / "stages.yaml").read_text() == (ROOT / "dvc.yaml").read_text()
    assert (made / "raw.md").read_text() == (ROOT / "data/raw/README.md").read_text()


def test_a_project_is_made_beside_what_is_there(tmp_path: Path) -> None:
    """A file of the user's own is left as it is; a second project is refused, and nothing is written."""
    (tmp_path / "README.md").write_text("mine\n")
    list(init(tmp_path))
    assert (tmp_path / "README.md").read_text() == "mine\n"
    assert Project(tmp_path).listed() == []
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StoreError, match="must be no project yet"):
        list(init(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_new_study_is_listed_below_the_comment(tmp_path: Path) -> None:
    """The list that was empty becomes one with a name a line."""
    list(init(tmp_path))
    for name in ("first", "second"):
        list(new(Project(tmp_path), name))
    text = (tmp_path / "params.yaml").read_text()
    assert text.startswith("# The studies that are run")
    assert text.endswith("studies:\n  - first\n  - second\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("studies: tiny\n", "must hold a list of studies"),
        ("- tiny\n", "must hold a list of studies"),
        ("studies: [1]\n", "must hold a list of studies"),
        ("studies: [\n", "must be YAML"),
        ("studies:\n  - gone\n", "must list studies that are there"),
        ("studies:\n  - ../up\n", "a study's name must match"),
    ],
)
@pytest.mark.parametrize("command", [["status"], ["repro"], ["new", "other"]])
def test_a_wrong_list_of_studies_is_told_by_every_command_that_reads_it(
    project: Path, text: str, told: str, command: list[str]
) -> None:
    """With the line to write; exit code 2, nothing written."""
    (project / "params.yaml").write_text(text)
    done = run_in(project, "study", *command)
    assert done.returncode == 2
    assert told in done.stdout
    assert "Traceback" not in done.stdout
    assert not (project / "studies/other").exists()
    with pytest.raises(StudyError):
        Project(project).listed()


@pytest.mark.slow
def test_repro_gives_the_bytes_that_dvc_repro_gives(repro: Repro, tmp_path: Path) -> None:
    """The same results without DVC; then nothing is due but the check; an edited question reports anew."""
    folder = tmp_path / "project"
    folder.mkdir()
    list(init(folder))
    write_study(folder, "tiny", TINY)
    (folder / "params.yaml").write_text("studies:\n  - tiny\n")
    assert run_in(folder, "study", "repro").returncode == 0
    assert results(folder, "tiny") == repro.results
    assert due(folder) == ["check"]
    path = folder / "studies/tiny/study.toml"
    path.write_text(TINY.replace("Which engine", "Which of two engines"))
    assert due(folder) == ["check", "report"]
    (folder / "studies/tiny/trials.csv").unlink()
    assert due(folder) == ["check", "search"]
    assert (folder / "studies/tiny/trials.csv").read_bytes() == repro.results["trials.csv"]


def due(folder: Path) -> list[str]:
    """The stages that `study repro` runs."""
    done = run_in(folder, "study", "repro", "tiny")
    assert done.returncode == 0, done.stdout
    return [stage for stage in STAGES if f"{stage} tiny: runs." in done.stdout]


@pytest.mark.slow
def test_a_wheel_makes_a_project_in_an_empty_folder(tmp_path: Path) -> None:
    """Built, unpacked elsewhere and used there: init, new, check, and what DVC then would run."""
    build = ["-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet", "-w", str(tmp_path)]
    quiet = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    subprocess.run([sys.executable, *build, str(ROOT)], check=True, env=quiet)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    folder = tmp_path / "empty"
    folder.mkdir()
    env = {**environment(), "PYTHONPATH": str(tmp_path / "installed")}

    def said(*words: str | Path) -> str:
        return subprocess.run(words, cwd=folder, env=env, check=True, capture_output=True, text=True).stdout

    for command in (["init"], ["new", "mine"], ["check", "mine"], ["prepare", "mine"]):
        said(BIN / "study", *command)
    assert "search@mine" in said(BIN / "dvc", "status")
    assert str(tmp_path / "installed") in said(
        sys.executable, "-c", "import pipeline; print(pipeline.__file__)"
    )
