"""The local record of a search: what was appended is there after any kill, and nothing else is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import outcome

from pipeline.errors import StoreError
from pipeline.records.ledger import Ledger

OUTCOMES = [
    outcome(0, 0.5),
    outcome(1, 0.25, 1 / 3, state="pruned"),
    outcome(2, state="failed", reason="NaN"),
]


@pytest.fixture
def path(tmp_path):
    """A record of three outcomes."""
    ledger = Ledger(tmp_path / "search" / "record.jsonl")
    for number, one in enumerate(OUTCOMES, start=1):
        ledger.append(one, 10.0 * number)
    return ledger.path


def read(path):
    return list(Ledger(path).outcomes.values())


def test_what_was_appended_is_read_again(path):
    """Every outcome comes back equal to the last digit, and with it how long the search had taken."""
    assert read(path) == OUTCOMES
    assert Ledger(path).elapsed_seconds == 30.0


def test_a_record_that_is_not_there_is_empty(tmp_path):
    """Looking at a search that has not begun makes nothing."""
    assert read(tmp_path / "search" / "record.jsonl") == []
    assert list(tmp_path.iterdir()) == []


def test_an_outcome_is_kept_once(path):
    """Appending what is already kept leaves the file as it is, whatever the clock says."""
    before = path.read_bytes()
    Ledger(path).append(OUTCOMES[0], 99.0)
    assert path.read_bytes() == before


def test_a_changed_outcome_supersedes(path):
    """A pruned trial that was trained further replaces what was kept of it."""
    further = outcome(1, 0.25, 1 / 3, 0.75)
    Ledger(path).append(further, 40.0)
    assert read(path) == [OUTCOMES[0], further, OUTCOMES[2]]
    assert len(path.read_bytes().splitlines()) == 4


def test_a_torn_last_line_is_left_out(path):
    """Cut at any byte, the file has its whole lines; it takes the next outcome and is whole again."""
    content = path.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == ord("\n")]
    for size in range(len(content)):
        path.write_bytes(content[:size])
        num_whole = sum(end <= size for end in ends)
        assert read(path) == OUTCOMES[:num_whole]
        # Syncing takes its time, so not after every cut.
        if size % 9 == 0:
            Ledger(path).append(OUTCOMES[2], 40.0)
            assert read(path) == [*OUTCOMES[:num_whole], OUTCOMES[2]]


def test_reading_changes_nothing(path):
    """A half-written line may be another process's: who looks on leaves it alone."""
    torn = path.read_bytes()[:-7]
    path.write_bytes(torn)
    assert read(path) == OUTCOMES[:2]
    assert path.read_bytes() == torn


def test_a_damaged_last_line_is_left_out(path):
    """A power cut may leave a line of the right length with wrong bytes."""
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)
    assert read(path) == OUTCOMES[:2]


@pytest.mark.parametrize("place", [0, 30, -2])
def test_a_damaged_line_in_the_middle_is_refused(path, place):
    """Wherever the byte stands, the message names file and line and says what to do."""
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = bytearray(lines[1])
    damaged[place] ^= 1
    path.write_bytes(lines[0] + damaged + lines[2])
    message = (
        r"record.jsonl: every line .*\nReceived: line 2 is damaged. Restore the file from a copy, or remove"
    )
    with pytest.raises(StoreError, match=message):
        Ledger(path)


@pytest.mark.parametrize("in_the_way", ["record.jsonl/folder", "file"])
def test_a_place_that_cannot_hold_a_record_is_named(tmp_path, in_the_way):
    """A folder where the file belongs, or a file where its folder belongs: a sentence, not a traceback."""
    path = tmp_path / "file" / "record.jsonl"
    if in_the_way == "file":
        path.parent.write_text("")
    else:
        (path.parent / in_the_way).mkdir(parents=True)
    with pytest.raises(
        StoreError, match=r"record.jsonl: the record of the search must be readable and writable"
    ):
        Ledger(path).append(OUTCOMES[0], 1.0)


def test_a_folder_that_goes_away_is_made_again(path):
    """Removing the folder under a running search costs the past, not the present."""
    ledger = Ledger(path)
    path.unlink()
    path.parent.rmdir()
    ledger.append(outcome(3, 0.1), 50.0)
    assert read(path) == [outcome(3, 0.1)]


def in_python(program, *words, **more):
    """A Python process that can import the project and the fakes."""
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    command = [sys.executable, "-c", program, *map(str, words)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, **more)


APPENDING = """
import sys
from pathlib import Path
from fakes import outcome
from pipeline.records.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(len(ledger.outcomes), 10_000):
    ledger.append(outcome(number, *[1 / 3] * 400), 1.0)
    print(number, flush=True)
"""


def test_a_killed_process_leaves_a_record_that_can_be_read(tmp_path):
    """Killed again and again while it appends: what was said to be kept is kept, in one unbroken row."""
    path = tmp_path / "record.jsonl"
    for pause in range(4):
        with in_python(APPENDING, path) as process:
            said = [process.stdout.readline() for _ in range(3 + 7 * pause)]
            process.send_signal(signal.SIGKILL)
            said += process.stdout.readlines()
        assert process.returncode == -signal.SIGKILL
        numbers = list(Ledger(path).outcomes)
        assert numbers == list(range(len(numbers)))
        assert len(numbers) in (int(said[-1]) + 1, int(said[-1]) + 2)


FILLING = """
import resource, sys
from pathlib import Path
from fakes import outcome
from pipeline.errors import StoreError
from pipeline.records.ledger import Ledger
path = Path(sys.argv[1])
ledger = Ledger(path)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100, resource.RLIM_INFINITY))
try:
    ledger.append(outcome(3, *[0.1] * 99), 1.0)
except StoreError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ledger.append(outcome(4, 0.1), 1.0)
"""


def test_a_full_disk_leaves_the_record_whole(path):
    """What does not fit is refused in a sentence and leaves no trace; with space, it goes on."""
    with in_python(FILLING, path) as process:
        said = process.stdout.read()
    assert (
        "record.jsonl: the record of the search must be readable and writable.\nReceived: File too large"
        in said
    )
    assert process.returncode == 0
    assert read(path) == [*OUTCOMES, outcome(4, 0.1)]
