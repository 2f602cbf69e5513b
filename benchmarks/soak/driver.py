"""Runs one command of a study and lets signals meet it; reads back everything that a study leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
RESULTS = ("trials.csv", "confirm.csv", "metrics.json")
SIGNS = ("KILL", "TERM", "INT", "TWICE", "STOP")
EXITS = {"KILL": -9, "TERM": 130, "INT": 130, "TWICE": 130, "FULL": 2}
STATUS = {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
STOPPED_SECONDS = 2.0


@dataclass(frozen=True)
class Crash:
    """A signal, or FULL for a disk, and the point at which it comes: passed for the `count`th time."""

    sign: str
    point: tuple[str, ...]
    count: int = 1


@dataclass(frozen=True)
class End:
    """How a command ended, and which of its crashes had come."""

    status: int
    said: str
    sent: list[Crash]


def run(folder: Path, environment: dict[str, str], words: list[str], *crashes: Crash) -> End:
    """Run `study` with these words in a folder; a process that stops itself goes on after a while."""
    sent = folder / "mlruns" / "crashes-sent"
    sent.parent.mkdir(exist_ok=True)
    sent.unlink(missing_ok=True)
    own = {"CRASHES": json.dumps([asdict(crash) for crash in crashes]), "CRASHES_SENT": str(sent)}
    paths = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "benchmarks.soak.points", *words],
        cwd=folder,
        env={**environment, **own, "PYTHONPATH": paths},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # A shell's background jobs, and what they start, are born deaf to SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while process.poll() is None:
            if _is_stopped(process.pid):
                time.sleep(STOPPED_SECONDS)
                process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        # A study says little enough for a pipe to hold.
        said = process.stdout.read() if process.stdout else ""
    lines = sent.read_text().splitlines() if sent.exists() else []
    known = [Crash(one["sign"], tuple(one["point"]), one["count"]) for one in map(json.loads, lines)]
    return End(process.returncode, said, known)


def _is_stopped(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "T"


def results(folder: Path, name: str) -> dict[str, bytes]:
    """The small files in which the answers stand."""
    return {file: (folder / "studies" / name / file).read_bytes() for file in RESULTS}


def lost_or_doubled(folder: Path, name: str) -> list[str]:
    """What is wrong with the records of a finished study, in sentences; nothing where all is well."""
    wrong = []
    states: dict[tuple[str, str, int], str] = {}
    for path in sorted((folder / "mlruns" / "searches" / name).glob("*/record.jsonl")):
        task = json.loads((path.parent / "task.json").read_text())
        outcomes = [json.loads(line.split(" ", 1)[1])["outcome"] for line in path.read_text().splitlines()]
        states |= {(task["stage"], task["arm"], one["number"]): one["state"] for one in outcomes}
        if sorted(one["number"] for one in outcomes) != list(range(task["num_trials"])):
            wrong.append(f"{path.parent.name} does not hold each of its trials once")
    wrong += _runs(folder, states)
    return wrong + _optuna(folder)


def _runs(folder: Path, states: dict[tuple[str, str, int], str]) -> list[str]:
    from mlflow import MlflowClient  # noqa: TID251  a look from outside

    client = MlflowClient(f"sqlite:///{folder}/mlruns/mlflow.db")
    experiments = [one.experiment_id for one in client.search_experiments()]
    found = client.search_runs(experiments, max_results=5_000)
    parents = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    wrong = [f"{run.info.run_name} is {run.info.status}" for run in parents if run.info.status != "FINISHED"]
    trials: Counter[Any] = Counter()
    for run in found:
        if run not in parents:
            tags = run.data.tags
            name = (tags["study.stage"], tags.get("study.arm", ""), int(tags["trial.number"]))
            trials[*name, run.info.status] += 1
    if trials != Counter((*trial, STATUS[state]) for trial, state in states.items()):
        wrong.append(f"MLflow's runs are {dict(trials)}, the records' trials {states}")
    return wrong


def _optuna(folder: Path) -> list[str]:
    import optuna  # noqa: TID251  a look from outside

    url = f"sqlite:///{folder}/mlruns/optuna.db"
    return [
        f"Optuna's trial {trial.number} of {study.study_name} is {trial.state.name}"
        for study in optuna.get_all_study_summaries(url)
        for trial in optuna.load_study(study_name=study.study_name, storage=url).trials
        if not trial.state.is_finished()
    ]
