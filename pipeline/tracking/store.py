"""Where the views are kept: addresses checked, other programs' files left alone, passwords never shown."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from filelock import FileLock

from pipeline.errors import StoreError, hidden, scrubbed
from pipeline.files import refuse_torn, sync_folder

if TYPE_CHECKING:
    from mlflow import MlflowClient

SERVERS = ("http", "https", "databricks")
DATABASES = ("sqlite", "postgresql", "mysql", "mssql")
MLFLOW_TABLES = ("experiments", "runs", "alembic_version")
CONNECT_SECONDS = 5
REVISION = re.compile(r'^(down_)?revision = "(\w+)"$', re.MULTILINE)

# A view is made again from the ledger, and searched before anything is created: the client must fail fast.
SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # What goes wrong is told once, in our words, and never with the password that a traceback would show.
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
}


def check_addresses(mlflow_uri: str, optuna_url: str) -> None:
    """Raise unless both are addresses of what can be a view; nobody is asked, nothing is loaded.

    Raises:
        StoreError: MLflow's is no database and no server, or Optuna's no database.
    """
    _check(mlflow_uri, (*SERVERS, *DATABASES), "MLFLOW_TRACKING_URI", "a database or a tracking server")
    # Optuna unpickles what it reads from Redis or a journal: that could run code.
    _check(optuna_url, DATABASES, "STUDY_OPTUNA_STORAGE", "a database, one that holds no pickles")


def _check(url: str, kinds: Sequence[str], variable: str, what: str) -> None:
    kind, mark, _ = url.partition("://")
    is_known = bool(mark) and kind.partition("+")[0] in kinds
    if not is_known or (kind.startswith("sqlite") and database_path(url) is None):
        advice = f"Unset it, or set {variable} to sqlite:///FILE or postgresql://USER@HOST/NAME."
        raise StoreError.of(f"must be {what}.", hidden(url) or "nothing", advice, variable)


def database_path(url: str) -> Path | None:
    """The SQLite file that `url` names, or None for a store of another kind."""
    found = re.fullmatch(r"sqlite(?:\+\w+)?:///(?!:memory:)([^?]+)(?:\?.*)?", url)
    return Path(found[1]).absolute() if found else None


def is_server(url: str) -> bool:
    """Whether `url` names a tracking server, which has its own place for artifacts."""
    return url.partition(":")[0] in SERVERS


def is_there(url: str) -> bool:
    """Whether there is anything to be read: a server, or a file that has been begun."""
    path = database_path(url)
    return path is None or (path.exists() and path.stat().st_size > 0)


def probe(url: str, tables: Sequence[str]) -> None:
    """Raise, soon, unless a database answers; a file must be whole, writable, new or with these tables."""
    path = database_path(url)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
        if is_there(url):
            _probe_file(path, tables)
    elif not is_server(url):
        import sqlalchemy

        # Whoever asks next, MLflow's client or Optuna's, would ask again and again.
        engine = sqlalchemy.create_engine(url, connect_args=connect_arguments(url))
        try:
            engine.connect().close()
        finally:
            engine.dispose()


def connect_arguments(url: str) -> dict[str, int]:
    """What keeps a driver from waiting for a server that never answers."""
    is_patient = url.startswith(("postgresql", "mysql")) and "connect_timeout" not in url
    return {"connect_timeout": CONNECT_SECONDS} if is_patient else {}


def _probe_file(path: Path, tables: Sequence[str]) -> None:
    try:
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as database:
            found = {
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
            }
            refuse_torn(database, path)
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        # A store that another process is writing to is a good one.
        if error.sqlite_errorcode in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return
        raise
    if found and not {*tables} <= found:
        raise ValueError(f"it is another program's: it has the tables {', '.join(sorted(found))}")
    # SQLite lets a transaction begin on a file that it may only read.
    if not os.access(path, os.W_OK):
        raise PermissionError("the file may only be read")


def connect(uri: str, may_make: bool = True) -> MlflowClient:
    """A client of MLflow's store; a SQLite database is made, whole, by the first who comes and may.

    Raises whatever the store throws: see `answering`.
    """
    # Seconds of work that no command without MLflow should wait for.
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    from mlflow import MlflowClient

    path = database_path(uri)
    with made_alone(uri) if may_make else nullcontext():
        probe(uri, MLFLOW_TABLES)
        if path is not None and is_there(uri):
            _check_schema(path)
        elif path is not None and may_make:
            _make_database(path)
    return MlflowClient(uri)


def _check_schema(path: Path) -> None:
    """MLflow itself would bring an older database up to date, without a copy and for good."""
    head = newest_schema()
    with closing(sqlite3.connect(path, timeout=CONNECT_SECONDS)) as database:
        [(revision,)] = database.execute("SELECT version_num FROM alembic_version")
    if revision != head:
        raise ValueError(
            f"its schema, {revision}, is another MLflow's; this one's is {head}: keep a copy, then run "
            f"mlflow db upgrade sqlite:///{path}, or install the locked packages"
        )


def newest_schema() -> str:
    """The revision of the installed MLflow's schema: the migration that no other one follows.

    Alembic would say so too, and run all of them for it: a second at each start.
    """
    spec = find_spec("mlflow")
    folder = Path(str(spec.origin if spec else "")).parent / "store" / "db_migrations" / "versions"
    found = [REVISION.findall(path.read_text("utf-8")) for path in sorted(folder.glob("*.py"))]
    followed = {revision for one in found for kind, revision in one if kind}
    [head] = {revision for one in found for kind, revision in one if not kind} - followed
    return str(head)


def _make_database(path: Path) -> None:
    """Make the schema aside: its migrations, killed half-way, leave a file that MLflow never mends."""
    from mlflow import MlflowClient

    for left in path.parent.glob(f".{path.name}.*.aside*"):
        left.unlink(missing_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.aside")
    MlflowClient(f"sqlite:///{aside}").search_experiments(max_results=1)
    aside.replace(path)
    sync_folder(path.parent)


@contextmanager
def made_alone(url: str) -> Iterator[None]:
    """Let one process at a time make what no store protects itself: schema, experiment, parent run."""
    path = database_path(url)
    if path is None:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = Path(f"{path}.lock")
    # Where no file can be made, the lock would be waited for without end.
    lock.touch()
    with FileLock(lock, timeout=60):
        yield


@contextmanager
def answering(what: str, url: str) -> Iterator[None]:
    """Let whatever a store throws be a StoreError that shows no password."""
    try:
        yield
    except Exception as error:
        raise StoreError.of(
            f"{what} must answer.",
            reason_of(error, url),
            "Start its server, or mend the file or move it away: it is made again from the local record.",
            hidden(url),
        ) from error


def reason_of(error: Exception, url: str) -> str:
    """What an error says, in one line, without the password of `url`."""
    # SQLAlchemy adds a page of advice to what the database said.
    error = getattr(error, "orig", None) or error
    return scrubbed(f"{type(error).__name__}: {error}", url)
