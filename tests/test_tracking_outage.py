"""Real kills, real servers: whatever happens to MLflow or to the stage, every trial ends as one run."""

import contextlib
import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from test_tracking import FACTS, local_uri, outcome, tracker

from pipeline.tracking.entry import entry_of
from pipeline.tracking.live import Live
from pipeline.tracking.mlflow_view import MlflowView
from pipeline.tracking.ui import ui_command

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
]

RECORD = """
import sys, time
from pathlib import Path
from dataclasses import replace
from test_tracking import FACTS, outcome, tracker
with tracker(Path(sys.argv[1]), replace(FACTS, arm=sys.argv[4])) as window:
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        window.put(outcome(number))
"""


def recorder(mlruns, first, last, arm=""):
    """A process that records the trials `first` to `last` of an arm."""
    environment = {**os.environ, "PYTHONPATH": f"{Path.cwd()}:{Path(__file__).parent}"}
    words = [sys.executable, "-c", RECORD, str(mlruns), str(first), str(last), arm]
    return subprocess.Popen(words, env=environment)


def trials(client):
    """Number, status and length of the curve of each trial's run."""
    study = client.get_experiment_by_name("toy")
    found = client.search_runs([study.experiment_id], "tags.`trial.number` != ''", max_results=1000)
    return sorted(
        (
            int(run.data.tags["trial.number"]),
            run.info.status,
            len(client.get_metric_history(run.info.run_id, "val_accuracy")),
        )
        for run in found
    )


def until(condition, seconds=180):
    """Wait for a condition that another process brings about."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail("it did not come about")
        time.sleep(0.05)


@contextlib.contextmanager
def server(mlruns, port):
    """A real tracking server on loopback, started as the UI is."""
    window = ui_command(local_uri(mlruns), mlruns / "artifacts", port)
    environment = {**os.environ, **window.environment}
    with (mlruns / "server.txt").open("w") as log:
        process = subprocess.Popen(window.command, env=environment, stderr=log, start_new_session=True)
    try:
        until(lambda: answer(port) == 200)
        yield window.address
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def answer(port, host="127.0.0.1"):
    """The status with which the server answers a request that names `host`; 0 for no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    path = "/api/2.0/mlflow/experiments/get?experiment_id=0"
    try:
        connection.request("GET", path, headers={"Host": f"{host}:{port}"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def num_runs(database):
    """How many runs are in the database so far."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        return store.execute("SELECT count(*) FROM runs").fetchone()[0]


@pytest.fixture(scope="module")
def outage(tmp_path_factory):
    """A stage whose server is stopped and started again: the trials it shows, and whom it answers."""
    mlruns = tmp_path_factory.mktemp("outage")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    said: list[str] = []

    def opened():
        return MlflowView(address, mlruns, FACTS, lambda outcome: entry_of(outcome, FACTS))

    first, second = (Live("MLflow", address, opened, say) for say in (said.append, pytest.fail))
    with server(mlruns, port):
        first.put(outcome(0))
        until(lambda: num_runs(mlruns / "mlflow.db") > 1)
    first.put(outcome(1))
    until(lambda: said)
    with server(mlruns, port):
        assert not first.close("done")
        for number in range(3):
            second.put(outcome(number))
        assert second.close("done")
        hosts = ("127.0.0.1", "localhost", "10.evil.com", "evil.com")
        return trials(MlflowClient(address)), {host: answer(port, host) for host in hosts}


def test_a_killed_stage_leaves_one_run_per_trial(tmp_path):
    """Killed in the middle of recording and recorded again, every trial has exactly one finished run."""
    process = recorder(tmp_path, 0, 500)
    database = tmp_path / "mlflow.db"
    until(lambda: database.exists() and num_runs(database) > 5)
    process.kill()
    process.wait()
    assert num_runs(database) < 500
    with tracker(tmp_path) as window:
        for number in range(60):
            window.put(outcome(number))
    found = trials(MlflowClient(local_uri(tmp_path)))
    assert found == [(number, "FINISHED", 3) for number in range(60)]


def test_processes_that_start_at_once_share_a_fresh_store(tmp_path):
    """Four processes that meet a store which is not there yet all find it whole; the schema is made once."""
    processes = [recorder(tmp_path, 10 * index, 10 * index + 2, f"arm {index}") for index in range(4)]
    assert [process.wait() for process in processes] == [0, 0, 0, 0]
    found = trials(MlflowClient(local_uri(tmp_path)))
    assert [number for number, _, _ in found] == [0, 1, 10, 11, 20, 21, 30, 31]


def test_a_server_that_goes_and_comes_back_misses_nothing(outage):
    """Outcomes recorded before, while and after the server was away are all there at the end, once."""
    assert outage[0] == [(number, "FINISHED", 3) for number in range(3)]


def test_the_ui_answers_this_machine_by_its_own_name_only(outage):
    """A web page that points a name of its own at this machine is turned away."""
    assert outage[1] == {"127.0.0.1": 200, "localhost": 200, "10.evil.com": 403, "evil.com": 403}
