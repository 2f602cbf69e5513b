"""The command line: words, exit codes, and nothing but one message for what a person got wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import TINY, run_in, write_study
from fakes import load

from pipeline.errors import StudyError
from pipeline.workers import places

STAGES = ("new", "check", "prepare", "baseline", "search", "confirm", "report")
COMMANDS = (
    *STAGES,
    "import-space",
    "status",
    "plan",
    "best",
    "replay",
    "predict",
    "doctor",
    "repair",
    "gc",
    "ui",
)


def files_of(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*")}


def test_help_names_every_command(project: Path) -> None:
    """`study --help` lists all commands and exits 0."""
    done = run_in(project, "study", "--help")
    assert done.returncode == 0
    assert all(f"\n  {command} " in done.stdout for command in COMMANDS)


def test_help_imports_nothing_heavy(project: Path) -> None:
    """`study --help` stays quick because it loads no framework."""
    probe = (
        "import sys, pipeline.__main__ as m\n"
        "try: m.cli.main(['--help'], standalone_mode=False)\n"
        "finally: print(sorted({'numpy', 'tensorflow', 'mlflow', 'optuna', 'pandas'} & set(sys.modules)))"
    )
    assert run_in(project, "python", "-c", probe).stdout.endswith("[]\n")


@pytest.mark.parametrize(
    "command", ["check", "prepare", "baseline", "search", "confirm", "report", "plan", "best"]
)
def test_unknown_study_is_the_users_to_mend(project: Path, command: str) -> None:
    """A study that is not there: exit code 2, the nearest name, no traceback, nothing written."""
    before = files_of(project)
    done = run_in(project, "study", command, "tinny")
    assert done.returncode == 2
    assert "Did you mean tiny?" in done.stdout
    assert "Traceback" not in done.stdout
    assert files_of(project) == before


@pytest.mark.parametrize("name", ["../tiny", "a b", "x" * 65, "Tiny", "$(id)", "raw", ""])
def test_a_name_never_becomes_a_path_or_a_shell_line(project: Path, name: str) -> None:
    """Names outside [a-z0-9][a-z0-9_-]{0,63} are refused before anything is written."""
    before = files_of(project)
    done = run_in(project, "study", "new", name)
    assert done.returncode == 2
    assert "a study's name must match [a-z0-9][a-z0-9_-]{0,63}" in done.stdout
    assert files_of(project) == before


def test_check_finds_every_problem_in_one_go(project: Path) -> None:
    """`study check` prints all problems of a file, each placed, and writes no plan."""
    bad = TINY.replace("trials   = 5", "trials   = 0").replace("[1e-3, 1e-1]", "[1e-1, 1e-3]")
    write_study(project, "bad", bad)
    done = run_in(project, "study", "check", "bad")
    assert done.returncode == 2
    assert "[search] trials: " in done.stdout
    assert "[space] learning_rate: the first end must be below the second." in done.stdout
    assert not (project / "studies/bad/plan.json").exists()


def test_new_writes_a_study_that_passes_its_check(project: Path) -> None:
    """`study new` gives a file that needs no edit to run, and lists it where `dvc repro` looks."""
    assert run_in(project, "study", "new", "mine").returncode == 0
    assert run_in(project, "study", "check", "mine").returncode == 0
    assert (project / "params.yaml").read_text() == "# What runs.\nstudies:\n  - tiny\n  - mine\n"
    again = run_in(project, "study", "new", "mine")
    assert again.returncode == 2
    assert "must not be there yet" in again.stdout


def test_a_new_study_has_as_many_trials_in_flight_as_train_side_by_side(project: Path) -> None:
    """One for each worker; never one alone, never more than a sampler can learn from."""
    for workers, in_flight in ((1, 2), (3, 3), (64, 8)):
        name, given = f"of-{workers}", f"STUDY_WORKERS={workers}"
        assert run_in(project, "env", given, "study", "new", name).returncode == 0
        assert load(project / f"studies/{name}/study.toml").search.parallel == in_flight
    assert run_in(project, "env", "STUDY_WORKERS=many", "study", "new", "wrong").returncode == 2
    assert not (project / "studies/wrong").exists()


@pytest.mark.parametrize(
    ("command", "feeds"),
    [("baseline", "prepare"), ("search", "prepare"), ("confirm", "prepare"), ("report", "prepare")],
)
def test_a_stage_before_the_one_that_feeds_it(project: Path, command: str, feeds: str) -> None:
    """A stage that is run too early names the command that comes first."""
    done = run_in(project, "study", command, "tiny")
    assert done.returncode == 2
    assert f"Run: study {feeds} tiny" in done.stdout


def test_confirm_before_search_names_search(project: Path) -> None:
    """With data but without trials, confirm asks for the search."""
    assert run_in(project, "study", "prepare", "tiny").returncode == 0
    done = run_in(project, "study", "confirm", "tiny")
    assert done.returncode == 2
    assert "Run: study search tiny" in done.stdout


def test_a_folder_that_is_no_project(tmp_path: Path) -> None:
    """Outside a project's folder the message says so."""
    done = run_in(tmp_path, "study", "status")
    assert done.returncode == 2
    assert "must be run in the folder that holds studies/" in done.stdout


def test_status_and_best_before_anything_ran(project: Path) -> None:
    """A fresh study has nothing yet, and both commands say what to run."""
    assert "tiny: nothing yet" in run_in(project, "study", "status").stdout
    assert "Run: study search tiny" in run_in(project, "study", "best", "tiny").stdout


def test_a_wrong_number_of_workers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """STUDY_WORKERS must be a whole number; the message names it."""
    monkeypatch.setenv("STUDY_WORKERS", "many")
    with pytest.raises(StudyError, match=r"STUDY_WORKERS: must be a whole number from 1 to 256"):
        places(4)
