"""What several test files need: a copy of the project with a tiny study, and words to run it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from benchmarks.soak.driver import results

ROOT = Path(__file__).parent.parent
# As `make test` has it: what Python leaves beside files is part of what is left.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
BIN = Path(sys.executable).parent

TINY = """\
question  = "Which engine finds the better network for 8x8 digits?"
dataset   = "digits"
model     = "mlp"
seed      = 7
objective = { maximize = "val_accuracy" }

[baseline]
hidden_units = 16
epochs       = 2

[fixed]
epochs = 3

[compare]
engine = { choice = ["optuna", "keras_tuner"] }

[space]
learning_rate = { float = [1e-3, 1e-1], log = true }
batch_size    = { choice = [32, 64] }
dropout       = { float = [0.0, 0.5] }
hidden_units  = { int = [16, 64], step = 16 }

[search]
trials   = 5
parallel = 2
pruner   = "median"

[confirm]
top     = 1
repeats = 3
"""

ONE_ARM = TINY.replace('[compare]\nengine = { choice = ["optuna", "keras_tuner"] }\n', "").replace(
    "trials   = 5", "trials   = 8"
)

# Settings of the person who runs the tests must not reach the projects that the tests run.
FOREIGN = ("MLFLOW_TRACKING_URI", "STUDY_OPTUNA_STORAGE", "STUDY_WORKERS", "STUDY_CLUSTER", "KERAS_BACKEND")


def environment() -> dict[str, str]:
    """This process's environment with the project's commands first on the path."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return {**kept, "PATH": f"{BIN}{os.pathsep}{kept['PATH']}"}


# The files that take minutes, the longest first: begun last, they would leave the other processes idle.
LONGEST = (
    *("crash_matrix", "cluster", "own_model", "crash_limits", "pipeline", "pools_contract"),
    *("trainers_contract", "views_away"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first; `make test` keeps this order."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; its output as text, standard error included."""
    return subprocess.run(
        words, cwd=folder, env=environment(), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def write_study(project: Path, name: str, text: str) -> None:
    """Put a study file into a project."""
    folder = project / "studies" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.toml").write_text(text)


def copy_project(folder: Path) -> Path:
    """The project as it is in the working tree, as a fresh git repository whose one study is tiny."""
    listed = run_in(ROOT, "git", "ls-files", "-co", "--exclude-standard", "-z").stdout.split("\0")
    for name in filter(None, listed):
        source, target = ROOT / name, folder / name
        if source.is_file() and not name.startswith("studies/") and name != "dvc.lock":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    write_study(folder, "tiny", TINY)
    (folder / "params.yaml").write_text("studies:\n  - tiny\n")
    run_in(folder, "git", "init", "--quiet")
    run_in(folder, "git", "add", "--all")
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    run_in(folder, "git", *who, "commit", "--quiet", "--message", "A project")
    return folder


@dataclass(frozen=True)
class Repro:
    """A copy of the project in which `dvc repro` has run once: to be copied, never changed."""

    folder: Path
    results: dict[str, bytes]


@pytest.fixture(scope="session")
def repro(tmp_path_factory: pytest.TempPathFactory) -> Repro:
    """The tiny study from its file to its report; it takes half a minute, so it is made once for all."""
    base = tmp_path_factory.getbasetemp()
    # The processes that share the tests have a folder each below this one.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "repro"
    with FileLock(shared / "repro.lock"):
        if not folder.exists():
            aside = copy_project(shared / "repro-aside")
            done = run_in(aside, "dvc", "repro")
            assert done.returncode == 0, done.stdout
            copy_of(aside, folder)
    return Repro(folder, results(folder, "tiny"))


def copy_of(repro: Path, folder: Path) -> Path:
    """A copy of a project that has been run, its MLflow artifacts where the copy is."""
    shutil.copytree(repro, folder, symlinks=True)
    places = {
        "experiments": ("artifact_location",),
        "runs": ("artifact_uri",),
        "logged_models": ("artifact_location",),
        "model_versions": ("source", "storage_location"),
    }
    with closing(sqlite3.connect(folder / "mlruns/mlflow.db")) as database, database:
        for table, columns in places.items():
            for column in columns:
                query = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608  names of our own
                database.execute(query, (str(repro), str(folder)))
    return folder


@pytest.fixture
def ran(repro: Repro, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in which `dvc repro` has run once, to be changed as a test likes."""
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)
    return copy_of(repro.folder, tmp_path / "project")


def searching(folder: Path) -> subprocess.Popen[bytes]:
    """A search in the background, as soon as it has recorded two trials."""
    before = num_recorded(folder)
    process = subprocess.Popen(
        ["study", "search", "tiny"],
        cwd=folder,
        env=environment(),
        stderr=subprocess.PIPE,
        # A shell's background jobs, and what they start, are born deaf to SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    for _ in range(1200):
        if num_recorded(folder) >= before + 2 or process.poll() is not None:
            break
        time.sleep(0.05)
    return process


def num_recorded(folder: Path) -> int:
    """How many outcomes the project's records hold."""
    records = folder.glob("mlruns/searches/tiny/*/record.jsonl")
    return sum(record.read_bytes().count(b"\n") for record in records)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder that the command line takes for a project, with a tiny study."""
    write_study(tmp_path, "tiny", TINY)
    (tmp_path / "params.yaml").write_text("# What runs.\nstudies:\n  - tiny\n")
    return tmp_path
