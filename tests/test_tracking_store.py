"""Files that MLflow cannot use are left as they are, and said; the UI is for this machine alone."""

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.tracking.entry import StageFacts, environment
from pipeline.tracking.registry import champion
from pipeline.tracking.store import MLFLOW_TABLES, connect, newest_schema, probe
from pipeline.tracking.ui import ui_command

# A server that is no file: nothing need be made before the UI is started.
URI = "postgresql://me:s3cret@host/db"


def local_uri(mlruns):
    return f"sqlite:///{mlruns.absolute() / 'mlflow.db'}"


def database(tmp_path, *statements):
    """A SQLite file in `tmp_path` made by `statements`, as a store's address."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as made:
        for statement in statements:
            made.execute(statement)
        made.commit()
    return local_uri(tmp_path)


def mlflow_database(tmp_path, revision):
    """A file that looks like MLflow's own with the given schema."""
    tables = [f"CREATE TABLE {name} (x)" for name in ("experiments", "runs")]
    version = f"CREATE TABLE alembic_version AS SELECT '{revision}' AS version_num"
    return database(tmp_path, *tables, version)


def test_an_absent_database_is_fine(tmp_path):
    """A store that is not there yet is made later."""
    probe(local_uri(tmp_path / "new"), MLFLOW_TABLES)
    probe(database(tmp_path), MLFLOW_TABLES)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello, this is text\n" * 99, "not a database"),
        (b"SQLite format 3\x00" + b"?" * 1000, "not a database|malformed"),
        (None, "unable to open"),
    ],
    ids=["text", "damaged", "a folder"],
)
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path, content, reason):
    """Whatever else it is."""
    path = tmp_path / "mlflow.db"
    path.write_bytes(content) if content else path.mkdir()
    with pytest.raises(sqlite3.DatabaseError, match=reason):
        probe(local_uri(tmp_path), MLFLOW_TABLES)
    assert path.is_dir() or path.read_bytes() == content


def test_a_database_that_was_cut_short_is_not_written_to(tmp_path):
    """SQLite would take what is missing for zeros."""
    uri = mlflow_database(tmp_path, "x")
    path = tmp_path / "mlflow.db"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(sqlite3.DatabaseError, match=r"cut short|malformed"):
        probe(uri, MLFLOW_TABLES)


def test_the_database_of_another_program_is_not_written_to(tmp_path):
    """Optuna's file also has a schema version, and is not MLflow's."""
    uri = database(tmp_path, "CREATE TABLE studies (x)", "CREATE TABLE alembic_version (version_num)")
    with pytest.raises(ValueError, match="it is another program's"):
        probe(uri, MLFLOW_TABLES)


@pytest.mark.slow
@pytest.mark.parametrize("revision", ["ffffffffffff", "181f10493468"], ids=["newer", "older"])
def test_another_mlflows_schema_is_not_touched(tmp_path, revision):
    """MLflow itself would bring an older one up to date for good; the message says how, with a copy kept."""
    uri = mlflow_database(tmp_path, revision)
    before = (tmp_path / "mlflow.db").read_bytes()
    with pytest.raises(StoreError, match=f"its schema, {revision}, .* mlflow db upgrade sqlite:///"):
        champion(uri, "toy")
    assert (tmp_path / "mlflow.db").read_bytes() == before


@pytest.mark.slow
def test_the_newest_schema_is_the_one_that_mlflow_makes(tmp_path):
    """It is read off the names of migrations; MLflow runs them."""
    connect(local_uri(tmp_path))
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as made:
        assert made.execute("SELECT version_num FROM alembic_version").fetchall() == [(newest_schema(),)]


def test_a_place_that_cannot_be_written_is_said():
    """A database in a folder that nobody can write to."""
    with pytest.raises(OSError, match="/proc/nowhere"):
        probe(local_uri(Path("/proc/nowhere")), MLFLOW_TABLES)


def test_a_database_that_is_being_written_is_fine(tmp_path):
    """Another process in the middle of a write is no reason to refuse."""
    uri = mlflow_database(tmp_path, "x")
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        probe(uri, MLFLOW_TABLES)


def test_loading_the_door_does_not_load_mlflow():
    """Commands that track nothing do not wait for MLflow, and checking a store needs none of it."""
    code = (
        "import sys; from pipeline.tracking import store; store.check_addresses('http://h', 'sqlite:///x'); "
    )
    code += "sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_environment_names_code_packages_and_machine(tmp_path):
    """Outside of git the commit is unknown; packages and machine are always told."""
    facts = environment(tmp_path)
    assert (facts["git.commit"], facts["git.dirty"]) == ("unknown", "unknown")
    assert {"python", "tensorflow", "keras", "mlflow", "optuna", "dvc", "machine", "cpus"} <= facts.keys()


def test_dirty_means_that_what_decides_differs_from_the_commit(tmp_path):
    """A stage's own outputs leave a commit clean; an edited study file makes it dirty."""
    study = tmp_path / "studies" / "toy"
    study.mkdir(parents=True)
    (study / "study.toml").write_text("seed = 1\n")
    name = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    for words in (("init", "-q"), ("add", "."), (*name, "commit", "-qm", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    (study / "trials.csv").write_text("number\n")
    assert environment(tmp_path)["git.dirty"] == "false"
    (study / "study.toml").write_text("seed = 2\n")
    assert environment(tmp_path)["git.dirty"] == "true"


def test_facts_without_a_card_have_no_digest():
    """A stage without a data card says nothing about the data."""
    assert StageFacts(study="toy", stage="search", key="k").data_sha256 == ""


def test_the_ui_is_for_this_machine_only(tmp_path):
    """The UI listens on loopback, with exact hosts, and with nothing on that runs code or reports home."""
    window = ui_command(URI, tmp_path, port=5123)
    words = " ".join(window.command)
    assert "--host 127.0.0.1 --port 5123" in words
    assert "--allowed-hosts 127.0.0.1:5123,localhost:5123 " in words
    assert window.environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert window.environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert window.address == "http://127.0.0.1:5123"


def test_a_port_that_is_taken_is_refused(tmp_path):
    """Before MLflow is started, which would end with a line of its own and success."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"port {port}: must be free for the MLflow UI"):
            ui_command(URI, tmp_path, port=port)


def test_a_password_never_stands_in_the_uis_command(tmp_path):
    """The address goes to the UI by its environment, which other users cannot read."""
    window = ui_command(URI, tmp_path)
    assert "s3cret" not in " ".join(window.command)


def test_a_server_has_its_own_ui(tmp_path):
    """For a tracking server the answer is its address, not a second server."""
    with pytest.raises(StoreError, match="Open http://host:5000 in a browser"):
        ui_command("http://host:5000", tmp_path)
