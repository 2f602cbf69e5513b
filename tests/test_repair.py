"""What is found in a project's files is mended and not found again; a healthy one is let be."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from conftest import ONE_ARM, TINY, environment, num_recorded, run_in, searching, write_study
from mending import HEALTHY, dead_pid, is_mended, record, search_of, told

from pipeline.errors import StudyError
from pipeline.files import held
from pipeline.records.project import Project
from pipeline.stages.repair import repair

pytestmark = pytest.mark.slow


def seen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder: when it was changed, and what stands in it."""
    paths = [path for path in folder.rglob("*") if ".git/" not in str(path)]
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"") for path in paths
    }


def open_runs(folder: Path) -> int:
    """How many MLflow runs have not ended."""
    path = folder / "mlruns/mlflow.db"
    with closing(sqlite3.connect(path)) if path.exists() else nullcontext() as database:
        query = "SELECT count(*) FROM runs WHERE status = 'RUNNING'"
        return database.execute(query).fetchone()[0] if database else 0


def test_a_healthy_project_has_no_findings(ran: Path) -> None:
    """Nothing is found and nothing is written, by repair neither; exit code 0."""
    before = seen(ran)
    done = run_in(ran, "study", "repair")
    assert (done.returncode, done.stdout.splitlines()) == (0, HEALTHY)
    assert told(ran) == HEALTHY
    assert seen(ran) == before


def test_looking_alone_changes_nothing(ran: Path) -> None:
    """By doctor not a byte changes and no database is made, however much is found; exit code 2."""
    (ran / "mlruns/mlflow.db").unlink()
    (ran / "mlruns/optuna.db").unlink()
    (ran / "studies/tiny/trials.csv").unlink()
    before = seen(ran)
    done = run_in(ran, "study", "doctor", "tiny")
    assert (done.returncode, "Run: study repair" in done.stdout) == (2, True)
    assert seen(ran) == before


def test_a_killed_search_is_cleaned_up_after(ran: Path) -> None:
    """After kill -9: the dead trials and runs are ended; the search then goes on, and all agrees."""
    before = num_recorded(ran)
    # MLflow is told of the first trials only when it has been loaded: seconds.
    long = ONE_ARM.replace("epochs = 3", "epochs = 40").replace('pruner   = "median"', 'sampler = "random"')
    write_study(ran, "tiny", long.replace("trials   = 8", "trials   = 200"))
    process = searching(ran)
    while not open_runs(ran) and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.communicate()
    assert is_mended(ran, "Optuna: search search: not as", "MLflow: search search: not as")
    # As many as were asked for, so that those in flight are trained and no others.
    write_study(ran, "tiny", long.replace("trials   = 8", f"trials   = {num_recorded(ran) - before + 2}"))
    assert "goes on where it was stopped" in run_in(ran, "study", "search", "tiny").stdout
    assert told(ran) == HEALTHY


def test_a_study_that_is_run_is_let_alone(ran: Path) -> None:
    """While a living process holds it, repair says who, compares no views and mends nothing."""
    left = ran / "studies/tiny" / f".x.csv.{dead_pid()}-1.aside"
    left.touch()
    search_of(ran).ask()
    with held(Project(ran).lock("tiny"), "the study tiny"):
        lines = told(ran, repair)
    assert f"is held by process {os.getpid()}" in lines[1]
    assert f"{left.name} was left half-written" in lines[2]
    assert left.exists()
    assert "Optuna" not in str(lines)


@pytest.mark.parametrize(
    "place",
    ["studies/tiny/.trials.csv.{}-7.aside", "data/.tiny.{}-7.aside/card.json", "mlruns/.mlflow.db.{}.aside"],
)
def test_half_written_files_of_the_dead_are_removed(ran: Path, place: str) -> None:
    """Those of the living are not: they are still being written."""
    dead, alive = (ran / place.format(pid) for pid in (dead_pid(), os.getpid()))
    for path in (dead, alive):
        path.parent.mkdir(exist_ok=True)
        path.write_text("half")
    assert is_mended(ran, "was left half-written by a process that is dead")
    assert (dead.exists(), alive.exists()) == (False, True)


def test_half_written_weights_are_removed(ran: Path) -> None:
    """A training process that is killed while it saves leaves a file of its own."""
    path = record(ran, "confirm") / "weights" / f".{dead_pid()}.weights.h5"
    path.touch()
    assert is_mended(ran, f"{path.name} was left half-written")


def test_a_folder_that_was_moved_away_comes_back(ran: Path) -> None:
    """Killed between two renames, a writer leaves the old folder under another name alone."""
    winner = ran / "studies/tiny/winner"
    winner.rename(winner.with_name(f".winner.{dead_pid()}-7.old.aside"))
    assert is_mended(ran, "winner was moved to", "it is put back")
    assert (winner / "conclusion.json").is_file()


def test_half_a_line_of_a_record_is_cut_off(ran: Path) -> None:
    """What a kill left at the end is no outcome."""
    path = record(ran, "search-optuna") / "record.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:100])
    assert is_mended(ran, "ends with half a line, 100 bytes")
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("file", "content"),
    [("facts.json", b""), ("facts.json", b'{"study": {}}'), ("task.json", b"{}"), ("done.json", b"[]")],
)
def test_what_can_be_known_of_a_record_is_written_again(ran: Path, file: str, content: bytes) -> None:
    """All but its outcomes follows from the study as it is."""
    path = record(ran, "baseline") / file
    whole = path.read_bytes()
    path.write_bytes(content)
    assert is_mended(ran, f"{file} is")
    assert not path.exists() or path.read_bytes() == whole


def test_a_record_that_is_damaged_in_its_middle_is_left_to_a_person(ran: Path) -> None:
    """It is the truth and nothing else knows it: the message says what to do, and nothing is touched."""
    path = record(ran, "search-optuna") / "record.jsonl"
    path.write_bytes(path.read_bytes().replace(b"learning_rate", b"learning_late", 1))
    before = path.read_bytes()
    lines = told(ran, repair)
    assert "record.jsonl: every line of the record must be as it was written" in lines[1]
    assert "Restore the file from a copy, or remove its folder" in lines[1]
    assert (path.read_bytes(), lines[-1].split(": ")[0]) == (before, "study repair")


def test_a_study_file_with_problems_is_said(ran: Path) -> None:
    """Each of them; what the study would run is then not known, so nothing else is compared."""
    write_study(ran, "tiny", TINY.replace("seed      = 7", "sed = 7"))
    assert any("study.toml: " in line and "Did you mean seed?" in line for line in told(ran))


def test_an_unknown_study_is_the_users_to_mend(ran: Path) -> None:
    """As for every other command, the nearest name is given."""
    done = run_in(ran, "study", "doctor", "tinny")
    assert (done.returncode, "Did you mean tiny?" in done.stdout) == (2, True)
    with pytest.raises(StudyError, match="a study's name must match"):
        list(repair(Project(ran), "../tiny"))


@pytest.mark.parametrize("content", ["", '{"write": {"a": {"pid": 1}}}'])
def test_a_damaged_rwlock_is_removed(ran: Path, content: str) -> None:
    """It would keep every `dvc repro` from starting."""
    (ran / ".dvc/tmp/rwlock").write_text(content)
    assert is_mended(ran, ".dvc/tmp/rwlock ")
    status = run_in(ran, "dvc", "status")
    assert (status.returncode, "search@tiny" in status.stdout) == (0, False)


def test_what_keeps_dvc_from_running_is_mended_by_the_next_command(ran: Path) -> None:
    """Whatever it is, without being asked, and said."""
    (ran / ".dvc/tmp/rwlock").write_text("")
    (ran / "dvc.lock").write_text("")
    done = run_in(ran, "study", "status")
    assert done.returncode == 0
    assert "rwlock is empty or damaged" in done.stdout
    assert "dvc.lock is empty" in done.stdout
    assert run_in(ran, "dvc", "status", "report@tiny").returncode == 0


def test_an_rwlock_of_the_dead_is_removed_and_one_of_the_living_is_not(ran: Path) -> None:
    """The list names processes; a DVC that lives is not disturbed."""
    path = ran / ".dvc/tmp/rwlock"
    words = [sys.executable, "-c", "import time; time.sleep(60)", "dvc"]
    living = subprocess.Popen(words, env=environment())
    try:
        path.write_text(json.dumps({"write": {"data": {"pid": living.pid, "cmd": "dvc repro"}}}))
        assert told(ran, repair) == HEALTHY
        assert path.exists()
    finally:
        living.kill()
        living.wait()
    assert is_mended(ran, f"names processes that are dead: {living.pid}")


def test_a_damaged_dvc_lock_is_restored_from_git(ran: Path) -> None:
    """Where git has none, an empty one is removed: DVC makes a new one, and nothing is trained again."""
    path = ran / "dvc.lock"
    whole = path.read_bytes()
    path.write_bytes(b"")
    assert is_mended(ran, "dvc.lock is empty")
    assert not path.exists()
    path.write_bytes(whole)
    run_in(ran, "git", "add", "dvc.lock")
    run_in(ran, "git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "Lock")
    path.write_bytes(whole[:-9] + b'"')
    assert is_mended(ran, "dvc.lock is damaged")
    assert path.read_bytes() == whole
