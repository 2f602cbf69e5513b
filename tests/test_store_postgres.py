"""The Optuna storage on a real PostgreSQL, started for the test where the machine has one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest
from fakes import parse

from pipeline.engines import Assignment, open_engine
from pipeline.engines.store import Store
from pipeline.errors import StoreError
from pipeline.trial import Outcome

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PASSWORD = "a{b}c%"  # noqa: S105  a brace is what Optuna's own URL handling stumbles over

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS, reason="no PostgreSQL server is installed"),
]

STUDY = """
question = "q"
dataset  = "digits"
seed     = 1
[space]
dropout  = { float = [0.0, 0.5] }
[search]
trials   = 4
"""


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


def assignment() -> Assignment:
    study = parse(STUDY, "tiny")
    return Assignment(study.arms[0], study.space, study.defaults, study.seed, "val_accuracy", True)


def search(store: Store, between: dict[int, object]) -> list[Outcome]:
    """Four trials that end at once; `between` is called after the trial of its number."""
    engine = open_engine(assignment())
    outcomes = []
    while trial := engine.ask():
        store.begin(trial)
        outcome = Outcome(trial, "complete", ({"val_accuracy": trial.number / 10},), trial.number / 10)
        store.end(outcome)
        engine.tell(trial, outcome)
        outcomes.append(outcome)
        if trial.number in between:
            between[trial.number]()
    return outcomes


def test_a_server_that_goes_away_gets_everything_in_the_end(server: Server) -> None:
    """Trials told while PostgreSQL was down are there, in their order, once it is back."""
    said: list[str] = []
    store = Store(server.url(PASSWORD), "tiny", assignment(), said.append)
    control = server.control
    search(store, {0: lambda: control("stop"), 2: lambda: control("start")})
    assert store.close()
    storage = optuna.storages.RDBStorage(server.url(PASSWORD).replace("{", "{{").replace("}", "}}"))
    frozen = optuna.load_study(study_name="tiny", storage=storage).trials
    storage.engine.dispose()
    assert [trial.value for trial in frozen] == [0.0, 0.1, 0.2, 0.3]
    assert len(said) == 1
    assert PASSWORD not in said[0]


def test_a_wrong_password_is_never_printed(server: Server) -> None:
    """The message hides the password, the right one and the wrong one."""
    with pytest.raises(StoreError, match=r"Optuna storage: the Optuna storage must be a database") as caught:
        Store(server.url("wrong-secret"), "tiny", assignment(), print)
    assert "wrong-secret" not in str(caught.value)
