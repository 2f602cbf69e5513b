"""The Optuna storage on a real PostgreSQL, started for the test where the machine has one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes import assignment, tables

from pipeline.engines import open_engine
from pipeline.tracking import live, optuna_view
from pipeline.tracking.live import Live
from pipeline.tracking.optuna_view import OptunaView
from pipeline.trial import Outcome

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PASSWORD = "a{b}c%"  # noqa: S105  a brace is what Optuna's own URL handling stumbles over

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server is installed"),
]

WORK = assignment(trials=4)


@dataclass
class Server:
    """A PostgreSQL of its own, on loopback."""

    folder: Path
    port: int

    def control(self, word: str) -> None:
        """Start or stop it."""
        settings = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder}"
        program = PROGRAMS[-1].with_name("pg_ctl")
        words = [str(program), "-D", str(self.folder / "data"), "-w", "-m", "fast", "-o", settings, word]
        _as_postgres(self.folder, *words)

    def url(self, password: str) -> str:
        """The URL for Optuna."""
        quoted = password.replace("%", "%25")
        return f"postgresql://study:{quoted}@127.0.0.1:{self.port}/postgres"


def _as_postgres(folder: Path, *words: str) -> None:
    """PostgreSQL refuses to be run by root."""
    user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, **user)


@pytest.fixture
def server() -> Iterator[Server]:
    # A socket needs a short path, and the user postgres a way to it.
    folder = Path(tempfile.mkdtemp(prefix="study-pg-"))

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "password").write_text(PASSWORD)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        shutil.chown(folder / "password", "postgres", "postgres")
    words = ("-U", "study", "-A", "scram-sha-256", "--pwfile", str(folder / "password"))
    _as_postgres(folder, str(PROGRAMS[-1]), "-D", str(folder / "data"), *words)
    running = Server(folder, port)
    running.control("start")
    yield running
    running.control("stop")
    shutil.rmtree(folder)


def until(condition: Callable[[], bool]) -> None:
    """Wait for what the thread that writes brings about."""
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not come about")


def shown(url: str, said: list[str], between: dict[int, object]) -> dict[int, Outcome]:
    """Four trials that end at once, shown as they do; `between` is called after the trial of its number."""
    window = Live("The storage", url, lambda: OptunaView(url, "tiny", tables(WORK), {}), said.append)
    engine, outcomes = open_engine(WORK), {}
    while trial := engine.ask():
        window.begin(trial)
        score = trial.number / 10
        outcomes[trial.number] = Outcome(trial, "complete", ({"val_accuracy": score},), score)
        window.put(outcomes[trial.number])
        engine.tell(trial, outcomes[trial.number])
        between.get(trial.number, lambda: None)()
    window.close("done", live.SILENCE_SECONDS)
    return outcomes


def test_a_server_that_goes_away_gets_everything_in_the_end(server: Server) -> None:
    """Trials told while PostgreSQL was down are there, in their order, once they are delivered."""
    said: list[str] = []
    url = server.url(PASSWORD)
    OptunaView(url, "tiny", tables(WORK), {}).close()

    def stop() -> None:
        until(lambda: any(map(len, optuna_view.studies(url).values())))
        server.control("stop")

    def start() -> None:
        until(lambda: bool(said))
        server.control("start")

    outcomes = shown(url, said, {0: stop, 2: start})
    assert [PASSWORD in line or "b}c" in line for line in said] == [False]
    view = OptunaView(url, "tiny", tables(WORK), outcomes)
    assert len(list(view.finish("done"))) == 4
    view.close()
    [trials] = optuna_view.studies(url).values()
    assert [trial.value for trial in trials] == [0.0, 0.1, 0.2, 0.3]


def test_a_server_that_stops_answering_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its processes stand still, its port is open: who trains waits no longer than is promised."""
    monkeypatch.setattr(live, "SILENCE_SECONDS", 2.0)
    pid = int((server.folder / "data/postmaster.pid").read_text().split()[0])
    said: list[str] = []
    os.kill(pid, signal.SIGSTOP)
    try:
        shown(server.url(PASSWORD), said, {})
    finally:
        os.kill(pid, signal.SIGCONT)
    assert len(said) == 1


def test_a_wrong_password_is_never_printed(server: Server) -> None:
    """The message hides the password, the right one and the wrong one."""
    said: list[str] = []
    shown(server.url("wrong-s{ecret}"), said, {})
    [line] = said
    assert "password authentication failed" in line
    assert "s{ecret}" not in line
