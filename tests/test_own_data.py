"""Data that a function of the user's own file returns: run by prepare alone, checked as a .npz file is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import TINY, write_study
from refusals import Study, refused, study, tree

__all__ = ["study"]

WHOLE = """
import numpy as np
from helper import NUM_ROWS

def load():
    print("hello")
    chance = np.random.default_rng(0)
    return chance.normal(size=(NUM_ROWS, 3)).astype("float32"), np.arange(NUM_ROWS) % 2
"""


def put(project: Path, text: str, word: str = "data.py:load") -> None:
    """A study whose data come from a file with this text beside it."""
    write_study(project, "own", TINY.replace('"digits"', f'"{word}"'))
    (project / "studies/own/data.py").write_text(text)
    (project / "studies/own/helper.py").write_text("NUM_ROWS = 40\n")


def test_what_the_function_returns_is_prepared(project: Path, study: Study) -> None:
    """Of the kind that its type tells; what it prints goes nowhere; the card names it."""
    put(project, WHOLE)
    code, said = study("prepare", "own")
    assert (code, said) == (0, "own: train 26, val 6, test 8. Look at data/own/card.json.\n")
    card = json.loads((project / "data/own/card.json").read_text())
    assert (card["kind"], card["name"], card["input_shape"]) == ("features", "data.py:load", [3])


def test_a_split_may_be_returned_and_what_is_written_does_no_harm(project: Path, study: Study) -> None:
    """The third array is the split of each input, and is kept. Paths begin in the project's folder."""
    text = WHOLE.replace("NUM_ROWS) % 2", 'NUM_ROWS) % 2, np.array(["train", "train", "val", "test"] * 10)')
    put(
        project,
        text.replace('print("hello")', 'open("left.txt", "w").write("x"); open("studies/own/study.toml")'),
    )
    assert study("prepare", "own")[1].startswith("own: train 20, val 10, test 10.")
    assert (project / "left.txt").read_text() == "x"


def test_the_function_is_run_by_prepare_alone(project: Path, study: Study) -> None:
    """check reads the file and what it imports, comments aside: their hash is what prepare depends on."""
    found = []
    for text in (WHOLE, f"# A comment.\n{WHOLE}"):
        put(project, f"open('ran.txt', 'w')\n{text}")
        assert study("check", "own")[0] == 0
        found.append(json.loads((project / "studies/own/plan.json").read_text())["depends"]["prepare"]["raw"])
    assert found[0] == found[1] != ""
    (project / "studies/own/helper.py").write_text("NUM_ROWS = 44\n")
    assert study("check", "own")[0] == 0
    plan = json.loads((project / "studies/own/plan.json").read_text())
    assert plan["depends"]["prepare"]["raw"] != found[0]
    assert not (project / "ran.txt").exists()


def test_what_the_users_code_raises_is_shown_from_its_own_line_on(project: Path, study: Study) -> None:
    """With file and line, and nothing of ours; exit code 2, nothing written."""
    put(project, WHOLE.replace('print("hello")', "1 / 0"))
    before = tree(project)
    code, said = study("prepare", "own")
    assert (code, tree(project)) == (2, before)
    assert said.startswith("The data of data.py:load could not be loaded:\n")
    assert 'studies/own/data.py", line 6, in load' in said
    assert said.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "own_data.py" not in said


MISTAKES = {
    "a list": (
        "def load():\n    return [1, 2]",
        "must return a tuple of two arrays or three.\nReceived: list of 2.",
    ),
    "nothing": ("def load():\n    pass", "Received: NoneType. Return inputs, labels, as NumPy arrays;"),
    "lists in a tuple": ("def load():\n    return [[1.0]], [0]", "Received: list in the tuple."),
    "objects": (
        "import numpy as np\ndef load():\n    return np.array([{}]), np.array([0])",
        "Received: array of object in the tuple.",
    ),
    "float64": (
        "import numpy as np\ndef load():\n    return np.ones((4, 2)), np.arange(4) % 2",
        "data.py:load: features: must be float32.",
    ),
    "one class": (
        "import numpy as np\ndef load():\n    return np.ones((4, 2), 'f4'), np.zeros(4, int)",
        "data.py:load: there must be two classes or more.",
    ),
    "an exit": (
        "import sys\ndef load():\n    sys.exit(3)",
        "Received: it ended without an answer, exit status 3.",
    ),
    "no end": ("import time\ndef load():\n    time.sleep(99)", "Received: nothing after 2 s."),
    "no function": (
        "def loads():\n    pass",
        "dataset: data.py must have the function load.\nReceived: loads.",
    ),
    "no Python": ("def load(:", "must be Python"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file(
    project: Path, study: Study, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    """One message, exit code 2, nothing written."""
    text, message = MISTAKES[mistake]
    put(project, text)
    if mistake == "no end":
        monkeypatch.setenv("STUDY_LOAD_SECONDS", "2")
    assert message in refused(project, study, "prepare", "own")


def test_a_file_that_is_not_there_is_refused(project: Path, study: Study) -> None:
    """By check too, with where to put it."""
    put(project, WHOLE, "other.py")
    said = refused(project, study, "check", "own")
    assert (
        "dataset: the dataset's file must be there.\nReceived: other.py. Put it beside the study file:"
        in said
    )
