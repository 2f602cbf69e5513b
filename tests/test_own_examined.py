"""A model of the user's own is tried before anything is trained: each mistake is told by file and line."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import ModelError, StudyError
from pipeline.learners import own_code
from pipeline.learners.measuring import Measuring
from pipeline.study import DataShape

pytestmark = pytest.mark.slow

DATA = DataShape((8, 8, 1), 10, 100, 10)
CONFIGURATION = {"batch_size": 32, "learning_rate": 1e-3, "schedule": "constant", "epochs": 1, "width": 8}
# Its def stands in line 6.
HEAD = """\
import os
import sys

import keras

def build(config, input_shape, num_classes):
    width = config["width"]
"""
LAYERS = 'keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")'
GOOD = f"{HEAD}    return keras.Sequential([keras.Input(input_shape), {LAYERS}])\n"
# Its def stands in line 10.
TRAIN = f"{GOOD}\ndef train(model, config, data):\n"
LOOP = f'{TRAIN}    yield {{"val_accuracy": 0.5}}\n'
SCALE = "class Scale(keras.layers.Layer):\n    def call(self, x):\n        return x / 16.0\n"
NET = """
class Net(keras.Model):
    def call(self, x):
        return x
"""


@pytest.fixture(scope="module")
def process() -> Measuring:
    """One process for all cases: each is a file of its own."""
    return Measuring({})


@pytest.fixture
def tried(process: Measuring, tmp_path: Path) -> Callable[[str], dict]:
    """What trying a file shows, or a ModelError."""

    def tried(text: str) -> dict:
        (tmp_path / "model.py").write_text(text)
        process.model = own_code.settings_of(tmp_path / "model.py", tmp_path, "build")
        return process.examine([CONFIGURATION], DATA, "val_accuracy")

    return tried


MISTAKES = {
    "logits": (GOOD.replace(', activation="softmax"', ""), "line 6, in build: .* let it end with softmax"),
    "other classes": (GOOD.replace("num_classes, act", "7, act"), r"line 6, in build: .*\(None, 10\) prob"),
    "nothing": (HEAD, "line 6, in build: a keras.Model must be returned, not NoneType"),
    "other arguments": (GOOD.replace(", input_shape, num_classes)", ")"), "line 6, in build: must take 3"),
    "a class": (f"{HEAD}    return Net()\n{NET}", r"functional or Sequential, not a class .* \(Net\)"),
    "an exit": (f"{HEAD}    sys.exit('bye')\n", r'line 8, in build\n(.*\n)*SystemExit: bye'),
    "a question": (f"{HEAD}    input('? ')\n", r"line 8, in build\n(.*\n)*EOFError"),
    "no epoch": (f"{TRAIN}    yield from ()\n", "line 10, in train: must yield the objective val_accuracy"),
    "no generator": (f"{TRAIN}    return None\n", "line 10, in train: must yield a dict .* returns NoneType"),
    "a number": (f"{TRAIN}    yield 0.5\n", "line 10, in train: must yield a dict of metrics .* not float"),
    "a word": (LOOP.replace("0.5", '"good"'), "line 10, in train: must yield .* each a number .*good"),
    "a list": (LOOP.replace("0.5", "[0.5]"), "line 10, in train: must yield .* each a number"),
    "loop's arguments": (LOOP.replace("model, config, data", "model"), "line 10, in train: must take 3 arg"),
}  # fmt: skip


def test_a_file_beside_the_model_stands_in_for_no_library(tried, tmp_path: Path) -> None:
    """Keras is imported before the user's folder is on Python's path: in a process whose first this is."""
    (tmp_path / "keras.py").write_text("x = 1\n")
    assert tried(GOOD)["read"]


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_told_by_its_file_and_line(tried, case: str) -> None:
    """That of the function where no line of the user's raised; the process goes on."""
    text, message = MISTAKES[case]
    with pytest.raises(ModelError, match=message) as raised:
        tried(text)
    assert "model.py" in str(raised.value)


def test_what_a_loop_asks_for_and_the_study_does_not_have_is_found(tried) -> None:
    """Also where it has a default in the code."""
    assert tried(LOOP.replace("yield", 'config.get("momentum", 0.9)\n    yield'))["undeclared"] == [
        "momentum"
    ]


@pytest.mark.parametrize("layer", ["keras.layers.Lambda(lambda x: x / 16.0)", "Scale()"])
def test_layers_of_ones_own_are_warned_of(tried, layer: str) -> None:
    """They can be searched; whoever asks the champion has no file of the user's, and runs no model's code."""
    assert len(tried(GOOD)["lines"]) == 2
    text = GOOD.replace("keras.Input(input_shape)", f"keras.Input(input_shape), {layer}")
    *_, warning = tried(text + SCALE)["lines"]
    assert "model.py, line 6, in build: it holds code of its own, so `study predict` will not" in warning
    assert layer.partition("(")[0].removeprefix("keras.layers.") in warning


def test_what_ends_its_process_costs_nothing_and_is_refused_when_it_is_examined(tried, process) -> None:
    """A search goes on: the trial fails where it is trained. The next configuration is counted again."""
    with pytest.raises(StudyError, match=r"must be built within .*\nReceived: .* with exit status 3"):
        tried(f"{HEAD}    os._exit(3)\n")
    assert process.multiply_adds(CONFIGURATION, DATA) == process.num_weights(CONFIGURATION, DATA) == 0
    assert tried(GOOD)["read"]


def test_a_process_that_is_killed_between_two_questions_is_replaced(tried, process) -> None:
    """As the kernel kills one that takes too much memory."""
    assert tried(GOOD)["read"]
    process._process.send_signal(signal.SIGKILL)
    process._process.wait()
    assert process.multiply_adds({**CONFIGURATION, "width": 9}, DATA) == 64 * 10 + 10
