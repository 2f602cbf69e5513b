"""The command line as a person meets it, in this process: words in, an exit code and one message out."""

from __future__ import annotations

import hashlib
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import FOREIGN, TINY, write_study

from pipeline.__main__ import main

# Where: what must hold. Received: the thing. What to do.
FORM = re.compile(r"(\S[^\n]*?): ([^\n]+\.)\nReceived: ([^\n]+)\. (\S[^\n]+)")

Study = Callable[..., tuple[int, str]]


@pytest.fixture
def study(
    project: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Study]:
    """A function that runs `study` with words in the project; its exit code, and all that it said."""
    monkeypatch.chdir(project)
    for name in (*FOREIGN, "STUDY_RAW_MNIST", "STUDY_RAW_FASHION_MNIST", "STUDY_RAW_CIFAR10"):
        monkeypatch.delenv(name, raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def run(*words: str) -> tuple[int, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["study", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        return int(ended.value.code or 0), out + err

    yield run
    signal.signal(signal.SIGTERM, before)


def tree(folder: Path) -> dict[str, str]:
    """Every file and link with the SHA-256 of its content; a lock that was held for a look is no content."""
    paths = [path for path in folder.rglob("*") if not path.name.endswith(".lock")]
    files = [path for path in paths if path.is_file() or path.is_symlink()]
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else str(path.readlink())
        for path in files
    }


def refused(project: Path, study: Study, *words: str) -> str:
    """The one message that the words are refused with: exit code 2, no traceback, and nothing written."""
    before = tree(project)
    code, said = study(*words)
    assert code == 2, said
    assert FORM.fullmatch(said.strip()), said
    assert tree(project) == before
    return said


def refused_data(project: Path, study: Study, dataset: Callable[[Path], str]) -> str:
    """What prepare refuses data with; `dataset` writes them into data/raw and gives what the file says."""
    raw = project / "data/raw"
    raw.mkdir(parents=True)
    write_study(project, "bad", TINY.replace('"digits"', dataset(raw)))
    return refused(project, study, "prepare", "bad")
