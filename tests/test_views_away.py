"""MLflow and Optuna's storage are views: whatever is wrong with them costs a message, and is delivered later.

The trainer is a fake that starts fast; everything else is real.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import run_in
from test_crash_limits import prepared, project, search, trials, untroubled

from benchmarks.soak.driver import lost_or_doubled
from pipeline.errors import StoreError
from pipeline.tracking.live import Live
from pipeline.tracking.optuna_view import OptunaView
from pipeline.tracking.store import check_addresses, connect

__all__ = ["prepared", "project", "untroubled"]
slow = pytest.mark.slow
MLFLOW = "sqlite:///mlruns/mlflow.db"


@pytest.fixture(scope="module")
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


# Addresses of Optuna's storage and MLflow's that fail in different ways; None: the project's own.
AWAY = [
    ("postgresql://me:s3c{r}et%25@127.0.0.1:9/x", None),
    ("postgresql://me:s3c{r}et%25@127.0.0.1:SILENT/x", "http://me:s3c{r}et%25@127.0.0.1:9"),
    ("mysql+none://me:s3c{r}et%25@127.0.0.1/x", "http://me:s3c{r}et%25@127.0.0.1:SILENT"),
    ("sqlite:////proc/optuna.db", "postgresql://me:s3c{r}et%25@127.0.0.1:SILENT/x"),
    (None, "http://me:s3c{r}et%25@127.0.0.1:9"),
]


@slow
@pytest.mark.parametrize(("optuna", "mlflow"), AWAY)
def test_a_store_that_cannot_be_reached_is_delivered_later(
    project: Path, untroubled: bytes, silent: int, optuna: str | None, mlflow: str | None
) -> None:
    """The search ends well with the same trials and a message each, no password in it; repair mends it."""
    given = {"STUDY_OPTUNA_STORAGE": optuna, "MLFLOW_TRACKING_URI": mlflow}
    away = {name: url.replace("SILENT", str(silent)) for name, url in given.items() if url}
    end = search(project, **away)
    assert (end.status, end.said.count("cannot be written")) == (0, len(away))
    assert "study repair tiny" in end.said
    assert "s3c" not in end.said
    assert trials(project) == untroubled
    done = run_in(project, "study", "repair", "tiny")
    assert done.returncode == 0, done.stdout
    assert lost_or_doubled(project, "tiny") == []


@slow
@pytest.mark.parametrize("name", ["optuna", "mlflow"])
@pytest.mark.parametrize("content", [b"no database\n" * 99, None], ids=["text", "a folder"])
def test_a_file_that_will_not_do_is_left_as_it_is(
    project: Path, untroubled: bytes, name: str, content: bytes | None
) -> None:
    """It costs a message; moved away, a new one is made, and the next search finds nothing owed in it."""
    path = project / f"mlruns/{name}.db"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content) if content else path.mkdir()
    end = search(project)
    assert (end.status, end.said.count("cannot be written")) == (0, 1)
    assert trials(project) == untroubled
    assert path.is_dir() or path.read_bytes() == content
    path.rename(project / "moved")
    assert "cannot be written" not in search(project).said
    assert lost_or_doubled(project, "tiny") == []


@pytest.mark.parametrize(
    ("mlflow", "optuna"),
    [
        ("mlruns", MLFLOW),
        ("", MLFLOW),
        ("file:///tmp/mlruns", MLFLOW),
        ("sqlite://", MLFLOW),
        ("ftp://me:s3cret@host", MLFLOW),
        ("redis://me:s3cret@host", MLFLOW),
        (MLFLOW, "redis://me:s3cret@host"),
        (MLFLOW, "journal:///tmp/x.log"),
        (MLFLOW, "JOURNAL://x"),
        (MLFLOW, "me:s3cret@host/x"),
        (MLFLOW, "mlruns/optuna.db"),
        (MLFLOW, "http://me:s3cret@host"),
    ],
)
def test_an_address_that_can_be_no_view_is_refused(mlflow: str, optuna: str) -> None:
    """Before training, with the variable to set; what Optuna would unpickle is never read."""
    variable = "STUDY_OPTUNA_STORAGE" if mlflow == MLFLOW else "MLFLOW_TRACKING_URI"
    with pytest.raises(
        StoreError, match=rf"{variable}: must be a database.*\nReceived: .*\. Unset it"
    ) as caught:
        check_addresses(mlflow, optuna)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", [MLFLOW, "http://host:5000", "https://u:p@host", "postgresql://host/db", "mysql+pymysql://host/db"]
)
def test_what_lies_beyond_the_network_is_not_asked(uri: str) -> None:
    """A server or a database elsewhere is taken as it is: it may come back while the stage runs."""
    check_addresses(uri, MLFLOW)


@pytest.mark.parametrize(
    "url",
    [
        "no-such-database://me:s3cr{e}t@here/x",
        "postgresql://me:s3cr{e}t@127.0.0.1:1/x?connect_timeout=1",
        "mysql+nodriver://me:s3cr{e}t@here/x?ssl=1",
        "no-such-database://here/x?user=me&password=s3cr{e}t",
        "no-such-database://here/x?sslpassword=s3cr{e}t&x=1",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    """Whatever signs it has, and wherever in the address it stands."""
    said: list[str] = []
    tables = {"objective": {"maximize": "val_accuracy"}, "space": []}
    live = Live("It", url, lambda: OptunaView(url, "tiny", tables, {}), said.append)
    assert not live.close("done")
    assert "s3cr" not in said[0]


@slow
@pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
def test_no_view_is_put_into_the_others_file(tmp_path: Path) -> None:
    """Both keep their schema's version under one name, and would ruin each other."""
    url = f"sqlite:///{tmp_path}/one.db"
    OptunaView(url, "tiny", {"objective": {"maximize": "x"}, "space": []}, {}).close()
    with pytest.raises(ValueError, match="it is another program's: it has the tables"):
        connect(url)
    other = f"sqlite:///{tmp_path}/other.db"
    connect(other)
    with pytest.raises(ValueError, match="it is another program's: it has the tables"):
        OptunaView(other, "tiny", {"objective": {"maximize": "x"}, "space": []}, {})
