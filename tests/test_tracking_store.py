"""Stores that MLflow cannot use are refused before training; passwords are never shown."""

import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pipeline.errors import StoreError
from pipeline.tracking import StageFacts, check_store, environment, local_uri, ui_command
from pipeline.tracking.store import _revisions


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


@pytest.mark.parametrize("uri", ["", "mlruns", "file:///tmp/mlruns", "sqlite://", "ftp://me:s3cret@host"])
def test_a_store_is_a_database_or_a_server(uri):
    """A folder, an address of nothing and an unknown kind are refused with what to set."""
    with pytest.raises(StoreError, match="must be a database or a tracking server") as caught:
        check_store(uri)
    assert "Set MLFLOW_TRACKING_URI to sqlite" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("uri", ["http://host:5000", "https://u:p@host", "postgresql://host/db"])
def test_what_lies_beyond_the_network_is_not_asked(uri):
    """A server or a database elsewhere is taken as it is: it may come back while the stage runs."""
    check_store(uri)


def test_an_absent_database_is_fine(tmp_path):
    """A store that is not there yet is made later."""
    check_store(local_uri(tmp_path / "new"))
    check_store(database(tmp_path))


def test_a_file_that_is_no_database_is_refused(tmp_path):
    """A file with other content is named, with what to do."""
    (tmp_path / "mlflow.db").write_text("hello, this is text\n")
    with pytest.raises(StoreError, match="must be an SQLite database") as caught:
        check_store(local_uri(tmp_path))
    assert str(tmp_path / "mlflow.db") in str(caught.value)
    assert "Move it away" in str(caught.value)


def test_a_damaged_database_is_refused(tmp_path):
    """A database whose pages are gone is refused before training."""
    database(tmp_path, "CREATE TABLE experiments (x)", "CREATE TABLE runs (x)")
    file = tmp_path / "mlflow.db"
    file.write_bytes(file.read_bytes()[:100] + b"?" * 1000)
    with pytest.raises(StoreError, match="must be whole and writable"):
        check_store(local_uri(tmp_path))


def test_the_database_of_another_program_is_refused(tmp_path):
    """Optuna's file also has a schema version, and is not MLflow's."""
    uri = database(tmp_path, "CREATE TABLE studies (x)", "CREATE TABLE alembic_version (version_num)")
    with pytest.raises(StoreError, match="must be MLflow's own") as caught:
        check_store(uri)
    assert "Optuna must not share it" in str(caught.value)


def test_a_newer_schema_is_refused(tmp_path):
    """A database of a newer MLflow is refused instead of being half understood."""
    with pytest.raises(StoreError, match="a newer or unknown schema, ffffffffffff"):
        check_store(mlflow_database(tmp_path, "ffffffffffff"))


def test_an_older_schema_is_refused_with_the_way_up(tmp_path):
    """A database of an older MLflow is refused with the command that brings it up to date."""
    known, head = _revisions()
    with pytest.raises(StoreError, match="mlflow db upgrade sqlite:///"):
        check_store(mlflow_database(tmp_path, sorted(known - {head})[0]))


def test_a_place_that_cannot_be_written_is_refused():
    """A database in a folder that nobody can write to is refused."""
    with pytest.raises(StoreError, match="must be a file in a writable folder"):
        check_store(local_uri(Path("/proc/nowhere")))


def test_a_folder_in_the_databases_place_is_refused(tmp_path):
    """A folder named like the database is refused."""
    (tmp_path / "mlflow.db").mkdir()
    with pytest.raises(StoreError, match="must be a file in a writable folder"):
        check_store(local_uri(tmp_path))


def test_a_database_that_is_being_written_is_fine(tmp_path):
    """Another process in the middle of a write is no reason to refuse."""
    uri = mlflow_database(tmp_path, _revisions()[1])
    with closing(sqlite3.connect(tmp_path / "mlflow.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        check_store(uri)


def test_loading_the_door_does_not_load_mlflow():
    """Commands that track nothing do not wait for MLflow, and checking a store needs none of it."""
    code = "import sys, pipeline.tracking as t; t.check_store('http://h'); sys.exit('mlflow' in sys.modules)"
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
    window = ui_command(mlflow_database(tmp_path, _revisions()[1]), tmp_path, port=5123)
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
            ui_command(mlflow_database(tmp_path, _revisions()[1]), tmp_path, port=port)


def test_a_password_never_stands_in_the_uis_command(tmp_path):
    """The address goes to the UI by its environment, which other users cannot read."""
    window = ui_command("postgresql://me:s3cret@host/db", tmp_path)
    assert "s3cret" not in " ".join(window.command)


def test_a_server_has_its_own_ui(tmp_path):
    """For a tracking server the answer is its address, not a second server."""
    with pytest.raises(StoreError, match="Open http://host:5000 in a browser"):
        ui_command("http://host:5000", tmp_path)
