"""What a worker says of a trial that fails, without the process that it would be in."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.workers.worker import Score, Worker

START = {"do": "start", "number": 0, "name": 0, "configuration": {}, "epochs": 1, "seed_path": ["trial", 0]}


def failing(path: Path) -> list[dict]:
    """What is said of an epoch that runs a file of the user's."""
    said: list[dict] = []
    program = SimpleNamespace(slots=1, start=lambda _: None, epochs=lambda _: runpy.run_path(str(path)))
    worker = Worker(program, said.append, None, lambda _: "", Score())
    worker.hear({**START, "is_alone": False})
    worker.hear({"do": "epoch", "number": 0, "epoch": 1})
    worker.work()
    return said


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit('bye')", "SystemExit: bye (model.py, line 2)"),
        ("open('gone.json')", "FileNotFoundError: [Errno 2] .*'gone.json' (model.py, line 2)"),
        ("pathlib.Path('/').read_text()", "IsADirectoryError: [Errno 21] .*'/' (model.py, line 2)"),
    ],
)
def test_what_the_users_code_does_wrong_fails_its_trial_with_its_line(
    tmp_path: Path, code: str, reason: str
) -> None:
    """One that ends Python, or names a file that is not there, is no accident of the machine."""
    (tmp_path / "model.py").write_text(f"import pathlib\n{code}\n")
    [message] = failing(tmp_path / "model.py")
    assert message["said"] == "failed"
    begin, _, end = reason.partition(".*")
    assert message["reason"].startswith(begin)
    assert message["reason"].endswith(end)
