"""Files that are whole or not there, and a lock with a name on it."""

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import files
from pipeline.errors import StoreError

OLD, NEW = b"old" * 100_000, b"new" * 100_000


IMPORTS = "import os, sys, time; from pathlib import Path; from pipeline import files"


def said(code: str, *words: object) -> str:
    """What a Python process of its own that runs `code` prints."""
    command = [sys.executable, "-c", f"{IMPORTS}\n{code}", *map(str, words)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def started(code: str, *words: object) -> subprocess.Popen[str]:
    """A Python process of its own that runs `code`, once it has said that it is there."""
    command = [sys.executable, "-c", f"{IMPORTS}\n{code}", *map(str, words)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "here\n"
    return process


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


STOP_AT = """
left = int(sys.argv[2])
def fsync(descriptor, sync=os.fsync):
    global left
    left -= 1
    if left == 0:
        print("here", flush=True)
        time.sleep(600)
    sync(descriptor)
os.fsync = fsync
"""


@pytest.mark.parametrize(("sync", "content"), [(1, OLD), (2, NEW)])
def test_a_writer_killed_in_the_middle_leaves_old_or_new_whole(tmp_path, sync, content):
    """SIGKILL before the rename leaves the old content, after it the new; never a part of either."""
    path = tmp_path / "file"
    files.write_bytes(path, OLD)
    killed(started(f"{STOP_AT}\nfiles.write_bytes(Path(sys.argv[1]), b'new' * 100_000)", path, sync))
    assert path.read_bytes() == content


def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path):
    """Killed while it writes without pause, wherever that is, it leaves one whole content."""
    code = """
path = Path(sys.argv[1])
for turn in range(10**9):
    files.write_bytes(path, (b'old', b'new')[turn % 2] * 100_000)
    turn or print("here", flush=True)
"""
    for _ in range(5):
        killed(started(code, tmp_path / "file"))
        assert (tmp_path / "file").read_bytes() in (OLD, NEW)


FULL = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
try:
    exec(sys.argv[2], {"files": files, "path": Path(sys.argv[1])})
except files.StoreError as error:
    print("here", error.problems[0].received, flush=True)
"""


@pytest.mark.parametrize(
    ("write", "content"),
    [
        ("files.write_bytes(path, b'new' * 100_000)", "place"),
        ("files.write_folder(path, lambda f: (f / 'file').write_bytes(b'new' * 100_000))", "place/file"),
    ],
    ids=["file", "folder"],
)
def test_a_full_disk_leaves_the_old_content_and_nothing_beside_it(tmp_path, write, content):
    """A write that finds no room is refused with its reason, and what was there is untouched."""
    path = tmp_path / "place"
    if content == "place":
        files.write_bytes(path, OLD)
    else:
        files.write_folder(path, _fill_old)
    assert said(FULL, path, write) == "here File too large"
    assert (tmp_path / content).read_bytes() == OLD
    assert [found.name for found in tmp_path.iterdir()] == ["place"]


def _fill_old(folder: Path) -> None:
    (folder / "file").write_bytes(OLD)


def test_an_output_in_the_place_of_a_folder_is_refused(tmp_path):
    """A folder is never taken for a file, nor a file for a folder; nothing is left beside them."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"the output must be writable.\nReceived: Is a directory. Free"):
        files.write_text(tmp_path / "folder", "text")
    with pytest.raises(StoreError, match=r"the output must be writable.\nReceived: Not a directory. Free"):
        files.write_folder(tmp_path / "file", lambda _: None)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["file", "folder"]


def test_a_file_in_the_place_of_a_parent_folder_is_refused(tmp_path):
    """The message names the output that could not be written."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"file/output\.json: the output must be writable"):
        files.write_json(tmp_path / "file" / "output.json", {})


def test_a_link_is_replaced_and_what_it_leads_to_is_left_alone(tmp_path):
    """A link from an output to elsewhere never makes a write land elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("precious")
    (tmp_path / "file").symlink_to(tmp_path / "elsewhere" / "file")
    (tmp_path / "folder").symlink_to(tmp_path / "elsewhere")
    files.write_text(tmp_path / "file", "output")
    files.write_folder(tmp_path / "folder", _fill_old)
    assert (tmp_path / "elsewhere" / "file").read_text() == "precious"
    assert not (tmp_path / "folder").is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == OLD


def test_a_folder_that_cannot_be_filled_leaves_the_old_one(tmp_path):
    """Whatever goes wrong while a folder is made aside, the old one stands and nothing is beside it."""
    files.write_folder(tmp_path / "folder", _fill_old)
    with pytest.raises(ZeroDivisionError):
        files.write_folder(tmp_path / "folder", lambda folder: (folder / "new").write_text(str(1 / 0)))
    assert [found.name for found in tmp_path.rglob("*")] == ["folder", "file"]


def test_an_interruption_between_the_renames_brings_the_old_folder_back(tmp_path, monkeypatch):
    """Ctrl-C after the old folder was moved away does not lose it."""
    files.write_folder(tmp_path / "folder", _fill_old)
    rename = Path.replace

    def interrupted(source: Path, target: Path) -> Path:
        if not source.name.endswith("old.aside") and target.name == "folder":
            raise KeyboardInterrupt
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        files.write_folder(tmp_path / "folder", lambda _: None)
    assert [found.name for found in tmp_path.rglob("*")] == ["folder", "file"]


def test_json_refuses_nan_and_is_the_same_whatever_the_order(tmp_path):
    """What is written is JSON that every reader knows, and byte for byte repeatable."""
    files.write_json(tmp_path / "one", {"b": 1, "a": [0.1]})
    files.write_json(tmp_path / "two", {"a": [0.1], "b": 1})
    assert files.sha256(tmp_path / "one") == files.sha256(tmp_path / "two")
    with pytest.raises(ValueError, match="Out of range float"):
        files.write_json(tmp_path / "one", {"a": float("nan")})
    assert (tmp_path / "one").read_text() == '{\n  "a": [\n    0.1\n  ],\n  "b": 1\n}\n'


def test_a_digest_sees_values_and_not_the_order_of_keys():
    """Two equal settings have one fingerprint; 1 and 1.0 are two settings."""
    assert files.digest({"a": 1, "b": (2,)}) == files.digest({"b": [2], "a": 1})
    assert files.digest({"a": 1}) != files.digest({"a": 1.0})


HOLD = """
with files.held(Path(sys.argv[1]), "study tiny"):
    print("here", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_refused_with_who_holds_the_lock(tmp_path):
    """The message names the process, so that a person can find it."""
    holder = started(HOLD, tmp_path / "search")
    message = (
        r"search: study tiny must be run by one process at a time.\n"
        rf"Received: it is held by process {holder.pid} on .*\. Wait for it"
    )
    with pytest.raises(StoreError, match=message), files.held(tmp_path / "search", "study tiny"):
        pass
    killed(holder)


def test_a_killed_process_holds_nothing(tmp_path):
    """The lock goes with its process, also by SIGKILL: nobody has to remove it."""
    killed(started(HOLD, tmp_path / "search"))
    with files.held(tmp_path / "search", "study tiny"):
        pass


def test_a_lock_within_its_block_is_held(tmp_path):
    """The same process cannot hold twice either."""
    with (
        files.held(tmp_path / "search", "it"),
        pytest.raises(StoreError, match="it must be run by one process"),
        files.held(tmp_path / "search", "it"),
    ):
        pass


def test_a_lock_is_free_after_its_block(tmp_path):
    """Also after an error; and the holder's name goes with it."""
    for _ in range(2):
        with pytest.raises(KeyError), files.held(tmp_path / "search", "it"):
            raise KeyError
    assert not (tmp_path / "search.holder").exists()


def test_a_holder_without_a_name_is_told_so(tmp_path):
    """Between taking a lock and naming itself a process has no name; the message has no gap."""
    with files.held(tmp_path / "search", "it"):
        (tmp_path / "search.holder").unlink()
        with pytest.raises(StoreError, match="held by a process that has not given its name"):
            files.held(tmp_path / "search", "it").__enter__()


def test_a_lock_in_an_impossible_place_is_refused(tmp_path):
    """A lock that cannot be made is told like an output that cannot be written."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="file/search: the output must be writable"):
        files.held(tmp_path / "file" / "search", "it").__enter__()
