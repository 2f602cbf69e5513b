"""A full disk, too little memory, processes that die: a search stops, says why, and later goes on.

The trainer is a fake that starts fast; the coordinator, its records and their failures are real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import TINY, environment, run_in, write_study
from fakes import DEFAULTS

from benchmarks.soak.driver import Crash, End, lost_or_doubled, run
from pipeline.trial import Trial
from pipeline.workers import Pool

pytestmark = pytest.mark.slow

# Python imports a module of this name when it starts: it puts a fake where the worker looks for its program.
SITE = '''
import json, os, signal, sys, types
from pipeline import seeds
from pipeline.files import digest

class Program:
    """Metrics are drawn by the configuration; FAKE_TROUBLE says from which trial on what goes wrong."""

    def __init__(self):
        self.slots, self.trials, self.done = 1, {}, {}

    def start(self, trial):
        self.trials[trial.number], self.done[trial.number] = dict(trial.configuration), 0

    def epochs(self, numbers):
        return {numbers[0]: self.epoch(numbers[0])}

    def epoch(self, number):
        self.done[number] += 1
        trouble, first, last = os.environ.get("FAKE_TROUBLE", "none,0,0").split(",")
        if int(first) <= number < int(last) and trouble == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        drawn = seeds.stream(1, digest(self.trials[number]), self.done[number]) / 2**31
        return dict.fromkeys(("loss", "accuracy", "val_loss", "val_accuracy"), drawn)

    def digest(self, number):
        return f"the weights of {number}"

    def save(self, number, path):
        path.write_text("weights")

    def drop(self, number):
        self.trials.pop(number, None)

fake = types.ModuleType("pipeline.training.framework")
fake.open_program = lambda builder, settings: (Program(), "a fake")
sys.modules["pipeline.training.framework"] = fake
'''
ARM = "search"
ONE_ARM = TINY.replace('[compare]\nengine = { choice = ["optuna", "keras_tuner"] }\n', "")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose study is prepared, with the fake beside it."""
    folder = tmp_path_factory.mktemp("prepared")
    write_study(folder, "tiny", ONE_ARM)
    assert run_in(folder, "study", "prepare", "tiny").returncode == 0
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(SITE)
    return folder


@pytest.fixture
def project(prepared: Path, tmp_path: Path) -> Path:
    """The prepared project, for one test."""
    return shutil.copytree(prepared, tmp_path / "project")


def search(project: Path, *crashes: Crash, trouble: str = "", **more: str) -> End:
    """A search with the fake trainer; TROUBLE,FIRST,LAST goes wrong from one trial on until another."""
    own = {**environment(), "FAKE_TROUBLE": trouble or "none,0,0", "STUDY_WORKERS": "1", **more}
    own["PYTHONPATH"] = os.pathsep.join([str(project / "site"), *filter(None, [own.get("PYTHONPATH")])])
    return run(project, own, ["search", "tiny"], *crashes)


def trials(project: Path) -> bytes:
    return (project / "studies/tiny/trials.csv").read_bytes()


def recorded(project: Path) -> bytes:
    [record] = project.glob("mlruns/searches/tiny/*/task.json")
    ledger = record.with_name("record.jsonl")
    return ledger.read_bytes() if ledger.exists() else b""


@pytest.fixture(scope="module")
def untroubled(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What a search gives in which nothing goes wrong."""
    folder = shutil.copytree(prepared, tmp_path_factory.mktemp("untroubled") / "project")
    assert search(folder).status == 0
    return trials(folder)


def test_three_accidents_in_a_row_end_the_search_and_leave_no_trace(project: Path, untroubled: bytes) -> None:
    """It names the three reasons; with the cause mended, the same command ends as if nothing had happened."""
    end = search(project, trouble="dies,1,9")
    assert end.status == 2
    assert "training must not break off on 3 configurations in a row." in end.said
    assert "trial 1, 2, 3: the training process died 2 times (exit status -9)" in end.said
    assert b'"failed"' not in recorded(project)
    assert search(project).status == 0
    assert trials(project) == untroubled
    assert lost_or_doubled(project, "tiny") == []


def test_a_single_accident_is_borne(project: Path) -> None:
    """The trial is failed with its reason, the others go on, and nothing is trained again afterwards."""
    assert search(project, trouble="dies,1,2").status == 0
    rows = trials(project).decode().splitlines()
    assert [row.split(",")[2] for row in rows[1:]].count("failed") == 1
    assert "the training process died 2 times (exit status -9)" in rows[2]
    assert "nothing is trained again" in search(project).said
    assert trials(project).decode().splitlines() == rows


@pytest.mark.parametrize(
    "crash",
    [
        Crash("FULL", ("result", ARM), 3),
        Crash("FULL", ("tracking", ARM), 1),
        Crash("FULL", ("write", "trials.csv"), 1),
    ],
    ids=lambda crash: crash.point[0],
)
def test_a_full_disk_is_said_and_outlived(project: Path, untroubled: bytes, crash: Crash) -> None:
    """Where files no longer grow it stops with what to do, or goes on without them; nothing is lost."""
    end = search(project, crash)
    assert len(end.sent) == 1
    assert end.status == 2
    assert "File too large. Free space or mend the permissions, then run again" in end.said
    assert "Traceback" not in end.said
    assert search(project).status == 0
    assert trials(project) == untroubled
    assert lost_or_doubled(project, "tiny") == []


NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
FULL = """
set -u
mount -t tmpfs -o size=60m tmpfs mlruns
head -c 60m /dev/zero > mlruns/filler
study search tiny; echo "ended with $?"
rm mlruns/filler
study search tiny; echo "ended with $?"
"""


@pytest.mark.skipif(
    subprocess.run([*NAMESPACE, "true"], capture_output=True).returncode != 0,
    reason="this system lets nobody mount a small disk of their own",
)
def test_a_real_disk_that_is_full(project: Path, untroubled: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without space it stops with a message; freed and run again, it ends as if there had been some."""
    monkeypatch.setenv("PYTHONPATH", f"{project / 'site'}:{os.environ.get('PYTHONPATH', '')}")
    (project / "mlruns").mkdir(exist_ok=True)
    done = run_in(project, *NAMESPACE, "sh", "-c", FULL)
    ends = [line for line in done.stdout.splitlines() if line.startswith("ended with")]
    assert ends == ["ended with 2", "ended with 0"], done.stdout
    assert "No space left on device" in done.stdout
    assert "Traceback" not in done.stdout
    assert trials(project) == untroubled


def test_a_configuration_too_large_costs_itself(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With TensorFlow and a limit on memory: what does not fit fails by accident, what fits is trained."""
    monkeypatch.setenv("STUDY_WORKER_MEMORY_GB", "1.5")
    settings = {"data_folder": str(prepared / "data/tiny"), "num_classes": 10, "seed": 1, "threads": 1}
    settings |= {"trainer": "fit", "weights_folder": None, "compiled_folder": None}
    settings |= {"learner": {"kind": "networks"}}
    with Pool(settings, [{"CUDA_VISIBLE_DEVICES": "-1"}], tmp_path) as pool:
        for number, units in enumerate([20_000, 16]):
            configuration = {**DEFAULTS, "hidden_layers": 2, "hidden_units": units, "epochs": 1}
            pool.start(Trial(number, {}, configuration, 1, ("trial", number)), 0, 1)
        large, small = pool.result(0, 1), pool.result(1, 1)
    assert large.is_accident
    assert "died 2 times (ResourceExhaustedError: " in large.reason
    assert small.metrics["val_loss"] > 0
