"""Stores and outputs that will not do, each tried once as people meet them: at the command line."""

from __future__ import annotations

import ctypes
import http.server
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, environment, write_study
from refusals import FORM, Study, refused, study, tree

from pipeline.tracking.store import connect

__all__ = ["study"]

pytestmark = [
    # MLflow 3.17 uses a loader strategy that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
]
slow = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (24, 8, 8), dtype=np.uint8)
MINE = TINY.replace('"digits"', '{ npz = "data/raw/mine.npz" }').replace(
    '[compare]\nengine = { choice = ["optuna", "keras_tuner"] }\n', ""
)


def write_arrays(folder: Path) -> None:
    (folder / "data/raw").mkdir(parents=True)
    np.savez(folder / "data/raw/mine.npz", images=IMAGES, labels=np.arange(24) % 2)
    write_study(folder, "tiny", MINE)


@pytest.fixture
def prepared(project: Path, study: Study) -> Path:
    """The project with its data prepared."""
    write_arrays(project)
    assert study("prepare", "tiny")[0] == 0
    (project / "mlruns").mkdir()
    return project


@pytest.mark.parametrize(
    ("command", "feeds"),
    [
        ("baseline", "study prepare"),
        ("search", "study prepare"),
        ("confirm", "study prepare"),
        ("replay", "study prepare"),
        ("report", "study prepare"),
        ("predict", "study confirm"),
    ],
)
def test_a_command_before_the_one_that_feeds_it(
    project: Path, study: Study, command: str, feeds: str
) -> None:
    """The message names the command that comes first."""
    images = [str(project / "params.yaml")] if command == "predict" else []
    assert f"Run: {feeds} tiny" in refused(project, study, command, "tiny", *images)


@pytest.mark.parametrize(
    ("command", "feeds"), [("confirm", "search"), ("report", "baseline"), ("replay", "search")]
)
@pytest.mark.usefixtures("prepared")
def test_a_stage_before_the_search(study: Study, command: str, feeds: str) -> None:
    """With data but no trials, the message names the stage that makes them."""
    code, said = study(command, "tiny")
    assert code == 2
    assert f"Run: study {feeds} tiny" in said


def with_tables(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


PREDICT = ("predict", "tiny", "x.npy")


@slow
def test_a_registry_whose_address_has_a_password(
    prepared: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away: the password is never printed."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:s3cret@127.0.0.1:1")
    said = refused(prepared, study, *PREDICT)
    assert "***@127.0.0.1" in said
    assert "s3cret" not in said


LISTS = [
    "",
    "- tiny",
    "studies: tiny",
    "studies: [",
    "studies:\n  tiny: 1",
    "a: 1",
    "studies: !!python/name:os.system [",
]


@pytest.mark.parametrize("text", LISTS)
def test_a_list_of_studies_that_is_none(project: Path, study: Study, text: str) -> None:
    """`study new` cannot add to it, and then writes no study either."""
    (project / "params.yaml").write_text(text)
    must = "must be YAML." if text.endswith("[") else "must hold a list of studies."
    assert f"params.yaml: {must}" in refused(project, study, "new", "mine")


def test_a_number_of_workers_that_is_none(
    prepared: Path, study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told before a search begins its record."""
    monkeypatch.setenv("STUDY_WORKERS", "many")
    assert "STUDY_WORKERS: must be a whole number" in refused(prepared, study, "search", "tiny")


def heed_permissions() -> None:
    """Root without the two capabilities that make permissions mean nothing to it."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


UNREADABLE, READ_ONLY = 0o000, 0o555
CLOSED = {
    "data file": ("data/raw/mine.npz", UNREADABLE, "prepare", "must be readable.\nReceived: Permission"),
    "data folder": ("data/raw", UNREADABLE, "prepare", "Permission denied"),
    "study file": ("studies/tiny/study.toml", UNREADABLE, "check", "the study file must be readable."),
    "prepared data": ("data/tiny/card.json", UNREADABLE, "search", "must be readable."),
    "study's folder": ("studies/tiny", READ_ONLY, "check", "the output must be writable."),
    "study's folder, later": ("studies/tiny", READ_ONLY, "search", "the study's folder must be writable."),
    "data's folder": ("data", READ_ONLY, "prepare", "the output must be writable."),
    "mlruns": ("mlruns", READ_ONLY, "search", "the output must be writable."),
}  # fmt: skip


@pytest.mark.parametrize("what", CLOSED)
def test_a_place_that_permissions_close(prepared: Path, what: str) -> None:
    """What cannot be read or written is named before anything is trained."""
    place, mode, command, message = CLOSED[what]
    path = prepared / place
    path.chmod(mode)
    words = [sys.executable, "-c", "from pipeline.__main__ import main; main()", command, "tiny"]
    probe = ["test", "-r" if mode == UNREADABLE else "-w", str(path)]
    if not subprocess.run(probe, preexec_fn=heed_permissions, check=False).returncode:
        pytest.skip("permissions mean nothing to this user")
    done = subprocess.run(
        words, cwd=prepared, env=environment(), text=True, capture_output=True, preexec_fn=heed_permissions
    )
    path.chmod(0o755)
    assert done.returncode == 2, done.stderr
    assert FORM.fullmatch(done.stderr.strip()), done.stderr
    assert message in done.stderr


LINKS = [
    ("studies/tiny", "check"),
    ("studies/tiny", "search"),
    ("data/tiny", "prepare"),
    ("data/tiny", "search"),
]


@pytest.mark.parametrize(("place", "command"), LINKS)
def test_an_output_that_is_a_link_elsewhere(
    prepared: Path, study: Study, tmp_path_factory: pytest.TempPathFactory, place: str, command: str
) -> None:
    """Nothing is written where it leads."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "folder"
    shutil.move(prepared / place, elsewhere)
    (prepared / place).symlink_to(elsewhere)
    before = tree(elsewhere)
    assert "must be a folder of the project's own.\nReceived: a link to" in refused(
        prepared, study, command, "tiny"
    )
    assert tree(elsewhere) == before


ANSWERS = {
    "404": (404, "text/plain", b"not found"),
    "404 HTML": (404, "text/html", b"<html><script>alert(1)</script></html>"),
    "500": (500, "text/plain", b"broken"),
    "HTML": (200, "text/html", b"<html>hello</html>"),
    "JSON of something else": (200, "application/json", b"[]"),
    "403": (403, "application/json", b'{"error": "s3cret"}'),
}


@pytest.fixture(params=ANSWERS)
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that gives every question the same wrong answer."""
    status, kind, body = ANSWERS[request.param]

    class Wrong(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815  the parent's names

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://me:s3cret@127.0.0.1:{listening.server_port}"
        listening.shutdown()


@slow
def test_a_database_that_another_program_holds(prepared: Path, study: Study) -> None:
    """It is waited for, not for ever, and then said."""
    path = prepared / "mlruns/mlflow.db"
    connect(f"sqlite:///{path}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "database is locked" in refused(prepared, study, "predict", "tiny", "x.npy")


@slow
def test_what_a_server_answers(
    prepared: Path, study: Study, monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    """An answer that is not MLflow's is told in one message, without the password or a page of HTML."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    said = refused(prepared, study, "predict", "tiny", "x.npy")
    assert "MLflow must answer." in said
    assert "s3cret" not in said
    assert len(said) < 600
