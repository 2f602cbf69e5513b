"""Where MLflow keeps its records: checked before use, made whole, never shown with its password."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from pipeline.errors import StoreError, hidden, scrubbed
from pipeline.files import refuse_torn, sync_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVERS = ("http", "https", "databricks")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")

# The tracker repeats what failed, and searches before it creates: the client must fail fast and only once.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # What goes wrong is told once, in our words, and never with the password that a traceback would show.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
}


def local_uri(mlruns: Path) -> str:
    """The default store: a SQLite file in the folder `mlruns`."""
    return f"sqlite:///{mlruns.absolute() / 'mlflow.db'}"


def database_path(uri: str) -> Path | None:
    """The SQLite file that `uri` names, or None for a store of another kind."""
    found = re.fullmatch(r"sqlite(?:\+\w+)?:///(?!:memory:)([^?]+)(?:\?.*)?", uri)
    return Path(found[1]).absolute() if found else None


def is_server(uri: str) -> bool:
    """Whether `uri` names a tracking server, which has its own place for artifacts."""
    return uri.partition(":")[0] in SERVERS


def check_store(uri: str) -> None:
    """Refuse a store that can be seen to be impossible, without loading MLflow or touching the network.

    Raises:
        StoreError: neither a database nor a server; or a file that is no MLflow database of this version,
            or cannot be written.
    """
    path = database_path(uri)
    if path is not None:
        _check_database(path)
    elif re.split(r"[+:]", uri)[0] not in (*SERVERS, *DATABASES[1:]):
        raise StoreError.of(
            "the MLflow store must be a database or a tracking server.",
            hidden(uri) or "nothing",
            "Set MLFLOW_TRACKING_URI to sqlite:///mlruns/mlflow.db or http://host:port, or unset it.",
            "MLFLOW_TRACKING_URI",
        )


def _check_database(path: Path) -> None:
    where = str(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            head = _head(path)
    except OSError as error:
        raise StoreError.of(
            "the MLflow database must be a file in a writable folder.",
            error.strerror or error,
            "Mend the permissions or choose another place with MLFLOW_TRACKING_URI, then run again.",
            where,
        ) from error
    if not head:
        return
    if head != b"SQLite format 3\x00":
        raise StoreError.of(
            "the MLflow store must be an SQLite database.",
            f"a file that begins with {head!r}",
            "Move it away to start a new one: every run is delivered again from the local record.",
            where,
        )
    _check_schema(path, where)


def _head(path: Path) -> bytes:
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(16)


def _check_schema(path: Path, where: str) -> None:
    try:
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as database:
            tables = {
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
            query = "SELECT version_num FROM alembic_version"
            revisions = [row[0] for row in database.execute(query)] if "alembic_version" in tables else []
            refuse_torn(database, path)
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
        # SQLite lets a transaction begin on a file that it may only read.
        if not os.access(path, os.W_OK):
            raise PermissionError("the file may only be read")
    except (sqlite3.Error, PermissionError) as error:
        # A store that another process is writing to is a good one.
        if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return
        raise StoreError.of(
            "the MLflow database must be whole and writable.",
            error,
            "Mend the permissions, or move it away: every run is delivered again from the local record.",
            where,
        ) from error
    if tables and not {"experiments", "runs", "alembic_version"} <= tables:
        raise StoreError.of(
            "the MLflow database must be MLflow's own.",
            f"the tables {', '.join(sorted(tables))}",
            "Give MLflow a file of its own with MLFLOW_TRACKING_URI; Optuna must not share it.",
            where,
        )
    known, head = _revisions()
    if known and revisions and revisions[0] != head:
        age = "an older" if revisions[0] in known else "a newer or unknown"
        raise StoreError.of(
            "the MLflow database must have the schema of the installed MLflow.",
            f"{age} schema, {revisions[0]}; this MLflow's is {head}",
            f"Keep a copy, then run: mlflow db upgrade sqlite:///{path}"
            if revisions[0] in known
            else "Install the locked packages, or move the file away.",
            where,
        )


def _revisions() -> tuple[set[str], str]:
    """The schema revisions that the installed MLflow knows, and its own; none where they cannot be read."""
    spec = find_spec("mlflow")
    folders = list(spec.submodule_search_locations or []) if spec else []
    texts = [
        file.read_text()
        for folder in folders
        for file in Path(folder, "store", "db_migrations", "versions").glob("*.py")
    ]
    pairs = [dict(re.findall(r'^(revision|down_revision) = "?(\w+)"?', text, re.MULTILINE)) for text in texts]
    known = {pair["revision"] for pair in pairs if "revision" in pair}
    heads = known - {pair.get("down_revision", "") for pair in pairs}
    return (known, heads.pop()) if len(heads) == 1 else (set(), "")


def apply_settings() -> None:
    """Set what MLflow reads when it is loaded; what the user has set stays."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)


def connect(uri: str) -> MlflowClient:
    """A client of the store at `uri`; a SQLite database is made, whole, by the first who comes."""
    apply_settings()
    # Seconds of work that no command without MLflow should wait for.
    from mlflow import MlflowClient

    path = database_path(uri)
    with made_alone(uri):
        if path is not None and not _head(path):
            _make_database(path)
    return MlflowClient(uri)


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """Let what MLflow throws be a StoreError that shows no password."""
    apply_settings()
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, OSError) as error:
        raise StoreError.of(
            "MLflow must answer.",
            scrubbed(f"{type(error).__name__}: {error}", uri),
            "Start the tracking server or mend the store, then run again.",
            hidden(uri),
        ) from error


@contextmanager
def made_alone(uri: str) -> Iterator[None]:
    """Let one process at a time make what MLflow does not protect itself: schema, experiment, parent run."""
    path = database_path(uri)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=60):
        yield


def _make_database(path: Path) -> None:
    """Make the schema aside: its migrations, killed half-way, leave a file that MLflow never mends."""
    from mlflow import MlflowClient

    for left in path.parent.glob(f".{path.name}.*.aside*"):
        left.unlink(missing_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)
    aside.replace(path)
    sync_folder(path.parent)
