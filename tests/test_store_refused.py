"""A storage that cannot be opened: a sentence with what to do, and never a password."""

import re
import sqlite3

import optuna
import pytest
from fakes import assignment

from pipeline.engines.store import Store
from pipeline.errors import StoreError

MUST = (
    "Optuna storage: the Optuna storage must be a database that this version of Optuna can open and write.\n"
)


def refused(url):
    """What is said when the storage at `url` is opened."""
    with pytest.raises(StoreError) as caught:
        Store(url, "tiny", assignment(), print)
    return str(caught.value)


def test_a_text_file_is_refused(tmp_path):
    """A file that is no database is left as it is."""
    path = tmp_path / "optuna.db"
    path.write_text("learning_rate,score\n0.1,0.9\n" * 99)
    before = path.read_bytes()
    assert refused(f"sqlite:///{path}") == (
        f"{MUST}Received: sqlite:///{path}: file is not a database. "
        "Move the file away, or mend the URL (STUDY_OPTUNA_STORAGE)."
    )
    assert path.read_bytes() == before


def test_a_database_that_was_cut_short_is_refused(tmp_path):
    """Half of a file is no storage, wherever the cut is."""
    path = tmp_path / "optuna.db"
    store = Store(f"sqlite:///{path}", "tiny", assignment(), print)
    store.close()
    content = path.read_bytes()
    for size in (len(content) // 2, len(content) // 3, 150):
        path.write_bytes(content[:size])
        assert re.search("malformed|not a database|disk image", refused(f"sqlite:///{path}"))


def test_another_programs_database_is_refused(tmp_path):
    """A database whose tables carry another version than Optuna's is not written into."""
    path = tmp_path / "optuna.db"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        database.execute("INSERT INTO alembic_version VALUES ('of_another_program')")
    database.close()
    message = refused(f"sqlite:///{path}")
    assert message.startswith(f"{MUST}Received: sqlite:///{path}: ")


@pytest.mark.parametrize("place", ["folder.db", "file/optuna.db"])
def test_a_place_that_cannot_hold_a_file_is_refused(tmp_path, place):
    """A folder where the file belongs, or a file where its folder belongs."""
    (tmp_path / "folder.db").mkdir()
    (tmp_path / "file").write_text("")
    assert refused(f"sqlite:///{tmp_path / place}").startswith(
        f"{MUST}Received: sqlite:///{tmp_path / place}: "
    )


def test_a_place_that_nobody_can_write_is_refused():
    """A file system that takes no files."""
    assert refused("sqlite:////proc/optuna.db").startswith(f"{MUST}Received: sqlite:////proc/optuna.db: ")


@pytest.mark.parametrize("url", ["redis://localhost", "journal:///tmp/x.log", "JOURNAL://x"])
def test_a_storage_that_holds_pickles_is_refused(url):
    """Reading from it could run code."""
    message = "Optuna storage: the Optuna storage must be a database that holds no pickles.\nReceived: "
    assert refused(url) == f"{message}{url}. Use sqlite, postgresql or mysql."


@pytest.mark.parametrize("url", ["mlruns/optuna.db", "no-such-database://here/x", ""])
def test_what_is_no_url_is_refused(url):
    """A path alone, or a database that nobody knows."""
    assert refused(url).startswith(f"{MUST}Received: {url}: ")


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
def test_a_password_is_never_shown(url):
    """Neither in the message nor in what it was made from, whatever signs it has."""
    message = refused(url)
    assert "s3cr" not in message
    assert "***" in message


def test_a_storage_is_made_where_there_is_none(tmp_path):
    """Its folder too; Optuna can open it."""
    url = f"sqlite:///{tmp_path / 'mlruns' / 'optuna.db'}"
    Store(url, "tiny", assignment(), print).close()
    assert optuna.get_all_study_names(url) == ["tiny"]
