"""A Keras Tuner hypermodel imported once: what a study file says of it, and what none can say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras_tuner
import pytest
from conftest import run_in

from pipeline.errors import StudyError
from pipeline.learners import hypermodel, own_code
from pipeline.learners.own_code import Config
from pipeline.records.project import Project
from pipeline.records.rows import read_rows
from pipeline.stages.imported import of_hypermodel, tables
from pipeline.study import DataShape

DATA = DataShape((28, 28, 1), 10, 0, 0)
HEAD = """\
import keras
import keras_tuner
from blocks import dense

"""
BLOCKS = """\
import keras

def dense(hp):
    return keras.layers.Dense(hp.Int("units", 16, 70, step=16, default=32), activation="relu")
"""
HYPERMODEL = f"""\
{HEAD}
class MyHyperModel(keras_tuner.HyperModel):
    def __init__(self, classes, name=None):
        super().__init__(name)
        self.classes = classes

    def build(self, hp):
        layers = [keras.Input((28, 28)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
        kind = hp.Choice("kind", ["wide", "deep"])
        with hp.conditional_scope("kind", ["deep"]):
            depth = hp.Int("depth", 2, 3) or 1
        layers += [dense(hp) for _ in range(depth)]
        if hp.Boolean("norm"):
            layers.append(keras.layers.BatchNormalization())
        model = keras.Sequential([*layers, keras.layers.Dense(self.classes, activation="softmax")])
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log", default=1e-2)
        optimizer = keras.optimizers.SGD(rate, momentum=hp.Fixed("momentum", 0.9))
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
FUNCTION = """\
import keras

def build_model(hp):
    {}
    return keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")])
"""


@pytest.fixture(autouse=True)
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What loading a model puts on Python's path goes with the test."""
    monkeypatch.syspath_prepend("")


def written(folder: Path, text: str) -> Path:
    """The user's file, with one that it imports."""
    (folder / "blocks.py").write_text(BLOCKS)
    (folder / "old.py").write_text(text)
    return folder / "old.py"


def recorded(folder: Path, text: str, target: str = "build_model") -> dict[str, Any]:
    return hypermodel.recorded(own_code.settings_of(written(folder, text), folder, target), DATA)


def declared(lines: str) -> str:
    """A file whose function declares this, from line 4 on."""
    return FUNCTION.format(lines.replace("\n", "\n    "))


@pytest.mark.parametrize(
    ("kind", "arguments", "entry"),
    [
        ("Int", {"min_value": 1, "max_value": 3}, {"int": [1, 3]}),
        ("Int", {"min_value": 6, "max_value": 13, "step": 3}, {"int": [6, 12], "step": 3}),
        ("Int", {"min_value": 2, "max_value": 40, "sampling": "log"}, {"int": [2, 40], "log": True}),
        ("Int", {"min_value": 2, "max_value": 20, "step": 2, "sampling": "log"}, {"choice": [2, 4, 8, 16]}),
        ("Int", {"min_value": 4, "max_value": 4}, {"fixed": 4}),
        ("Float", {"min_value": 0, "max_value": 0.5, "step": 0.1}, {"float": [0.0, 0.5], "step": 0.1}),
        (
            "Float",
            {"min_value": 1e-4, "max_value": 1, "sampling": "log"},
            {"float": [1e-4, 1.0], "log": True},
        ),
        (
            "Float",
            {"min_value": 1e-3, "max_value": 1, "step": 10, "sampling": "log"},
            {"choice": [1e-3, 1e-2, 0.1, 1.0]},
        ),
        ("Choice", {"values": ["relu", "tanh"]}, {"choice": ["relu", "tanh"]}),
        ("Boolean", {}, {"choice": [1, 0]}),
        ("Fixed", {"value": True}, {"fixed": 1}),
    ],
)
def test_each_kind_has_its_entry(tmp_path: Path, kind: str, arguments: dict[str, Any], entry: object) -> None:
    """The values that Keras Tuner may take, and no other; a truth is 0 or 1."""
    hp = hypermodel.Recorder({}, tmp_path)
    getattr(hp, kind)("it", **arguments)
    assert [one["entry"] for one in hp.declared] == [entry]


def test_a_configuration_gives_the_values_of_its_hyperparameters() -> None:
    """A truth is one again, what does not count is None, and all that is declared counts as read."""
    config = Config({"kind": "wide", "depth": 2, "norm": 1, "unused": 3})
    hp = hypermodel.Given(config)
    kind, norm = hp.Choice("kind", ["wide", "deep"]), hp.Boolean("norm")
    depth = hp.Int("depth", 1, 3, parent_name="kind", parent_values=["deep"])
    assert (kind, norm, depth) == ("wide", True, None)
    assert norm is True
    assert list(config.read) == ["kind", "norm", "depth"]
    with pytest.raises(KeyError, match="new is read and not declared in the study file"):
        hp.Int("new", 1, 3)


@pytest.mark.slow
def test_the_tables_are_those_of_the_hypermodel(tmp_path: Path) -> None:
    """Scopes are `when`, defaults the baseline, fixed ones fixed; a compiled model needs no rate."""
    found = recorded(tmp_path, HYPERMODEL, "MyHyperModel")
    assert (found["compiled"], found["rescales"], found["fit"]) == (True, True, None)
    assert tables(found) == {
        "baseline": {"batch_size": 32, "epochs": 5, "kind": "wide", "depth": 2, "units": 32, "norm": 0}
        | {"learning_rate": 0.01, "momentum": 0.9},
        "fixed": {"epochs": 5, "momentum": 0.9},
        "space": {
            "kind": {"choice": ["wide", "deep"]},
            "depth": {"int": [2, 3], "when": {"kind": "deep"}},
            "units": {"int": [16, 64], "step": 16},
            "norm": {"choice": [1, 0]},
            "learning_rate": {"float": [1e-4, 1e-1], "log": True},
        },
    }


@pytest.mark.slow
def test_a_model_that_is_not_compiled_gets_the_studys_rate(tmp_path: Path) -> None:
    """So that it can be searched; the hypermodel's own names are quoted where TOML asks for it."""
    found = recorded(tmp_path, declared('with hp.name_scope("a b"):\n    hp.Int("units", 1, 2)'))
    made = tables(found)
    assert (found["compiled"], made["baseline"]["learning_rate"]) == (False, 0.001)
    assert '\n"a b/units" = { int = [1, 2] }\n' in of_hypermodel("old", 2, "it", made)


@pytest.mark.slow
@pytest.mark.parametrize("values", [{}, {"kind": "deep", "depth": 3, "units": 64, "norm": 1}])
def test_a_configuration_has_the_layers_that_keras_tuner_gives_it(tmp_path: Path, values: dict) -> None:
    """The same shapes of weights, and the same rate of the model's own optimizer."""
    own = own_code.load(written(tmp_path, HYPERMODEL), tmp_path).MyHyperModel
    hp = keras_tuner.HyperParameters()
    hp.values = {**values, "norm": bool(values.get("norm")), "learning_rate": 0.02}
    theirs = own(10).build(hp)
    config = {"kind": "wide", "depth": 2, "units": 32, "norm": 0, "momentum": 0.9, "learning_rate": 0.02}
    ours = hypermodel.built(own, Config(config | values), (28, 28, 1), 10)
    assert [one.shape for one in ours.weights] == [one.shape for one in theirs.weights]
    assert float(ours.optimizer.learning_rate) == pytest.approx(0.02)


REFUSED = {
    "bounds that move": (
        'top = 64 if hp.Boolean("big") else 32\nhp.Int("units", 8, top)',
        [5, "units must have the same bounds", "and { int = [8, 64] } where big is 1"],
    ),
    "choices that move": (
        'more = ["c"] if hp.Int("num", 1, 2) == 2 else []\nhp.Choice("act", ["a", "b", *more])',
        [5, "act must have the same bounds, or choices", 'and { choice = ["a", "b", "c"] } where num is 2'],
    ),
    "a plain if": (
        'if hp.Choice("kind", ["mlp", "cnn"]) == "cnn":\n    hp.Int("filters", 8, 16)',
        [5, "filters must be declared in every build", "declared only where kind is", "'kind', ['cnn']"],
    ),
    "a loop": (
        'for index in range(hp.Int("layers", 1, 3)):\n    hp.Int(f"units_{index}", 8, 16)',
        [5, "units_2 must be declared in every build", "hp.conditional_scope('layers', [3])"],
    ),
    "an if inside a scope": (
        'kind, deep = hp.Choice("kind", ["a", "b"]), hp.Boolean("deep")\n'
        'with hp.conditional_scope("kind", ["b"]):\n    if deep:\n        hp.Int("depth", 1, 2)',
        [7, "depth must be declared in every build", "declared only where deep is 1"],
    ),
    "scopes of two parents": (
        'hp.Boolean("a"), hp.Boolean("b")\n'
        'for name in "ab":\n    with hp.conditional_scope(name, [True]):\n        hp.Int("depth", 1, 2)',
        [7, "depth must count under one condition", "a is 1; b is 1"],
    ),
    "another scale": (
        'hp.Float("rate", 0.1, 0.9, sampling="reverse_log")',
        [4, "the sampling of rate must be linear or log"],
    ),
    "a word of the study file": ('hp.Int("epochs", 1, 5)', [4, "epochs must have another name"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", REFUSED)
def test_what_a_study_file_cannot_say_is_refused_by_its_line(tmp_path: Path, case: str) -> None:
    """The line of the user's file that declares it, what is wrong, and where it comes from."""
    lines, [line, *parts] = REFUSED[case]
    with pytest.raises(StudyError) as raised:
        tables(recorded(tmp_path, declared(lines)))
    said = str(raised.value)
    assert f"{tmp_path / 'old.py'}, line {line}: {parts[0]}" in said
    assert all(part in said for part in parts), said


@pytest.mark.slow
def test_one_name_in_scopes_of_one_parent_counts_in_all_of_them(tmp_path: Path) -> None:
    """The values of the scopes together are its `when`."""
    lines = 'kind = hp.Choice("kind", ["a", "b", "c"])\nfor at in "ac":\n'
    lines += '    with hp.conditional_scope("kind", [at]):\n        hp.Int("depth", 1, 2)'
    assert tables(recorded(tmp_path, declared(lines)))["space"]["depth"] == {
        "int": [1, 2],
        "when": {"kind": ["a", "c"]},
    }


@pytest.mark.slow
def test_a_fit_of_its_own_is_refused(tmp_path: Path) -> None:
    """A study trains its models itself; what the file's `fit` did would be left out without a word."""
    fit = "\n    def fit(self, hp, model, *args, **kwargs):\n        return model.fit(*args, **kwargs)\n"
    found = recorded(tmp_path, HYPERMODEL + fit, "MyHyperModel")
    line = len(HYPERMODEL.splitlines()) + 2
    with pytest.raises(StudyError, match=f"old.py, line {line}: fit must be Keras Tuner's own"):
        tables(found)


@pytest.mark.slow
def test_an_imported_study_is_checked_and_searched(project: Path) -> None:
    """From one command to trials; the copy and what it imports are part of the key."""
    written(project, HYPERMODEL)
    done = run_in(project, "study", "import-space", "old.py:MyHyperModel", "mine")
    assert (done.returncode, "keeps its own optimizer" in done.stdout) == (0, True), done.stdout
    assert (project / "params.yaml").read_text().endswith("  - mine\n")
    path = project / "studies/mine/study.toml"
    sources = Project(project).study("mine").learner.sources()
    assert [*sources] == [*(f"studies/mine/{one}.py" for one in ("blocks", "model", "old")), "pipeline"]
    path.write_text(re.sub("trials +=.*", "trials = 3", re.sub("epochs = 5", "epochs = 1", path.read_text())))
    for stage in ("check", "prepare", "check", "search"):
        done = run_in(project, "study", stage, "mine")
        assert done.returncode == 0, done.stdout
    assert {row["state"] for row in read_rows(project / "studies/mine/trials.csv")} == {"complete"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("old.py:MyHyperModl", "Did you mean MyHyperModel?"),
        ("gone.py:MyHyperModel", "must name a file and what builds models in it"),
        ("old.py:MyHyperModel tiny", "must not be there yet"),
        ("model.py:MyHyperModel", "must have a name that Python can import beside the study's own model.py"),
        ("wrong.py:MyHyperModel", 'wrong.py", line 23, in build\n    return modl'),
        ("moves.py:build_model", "moves.py, line 5: units must have the same bounds"),
        ("off.py:build_model", "off.py, line 4: [baseline] units: must lie inside the space"),
    ],
)
def test_a_refusal_writes_nothing(project: Path, word: str, told: str) -> None:
    """One message with the user's own line, exit code 2, no traceback of ours, no study."""
    written(project, HYPERMODEL)
    texts = {"model": HYPERMODEL, "wrong": HYPERMODEL.replace("return model", "return modl")}
    texts |= {"moves": declared(REFUSED["bounds that move"][0])}
    texts |= {"off": declared('hp.Int("units", 8, 16, step=4, default=9)')}
    for name, text in texts.items():
        (project / f"{name}.py").write_text(text)
    done = run_in(project, "study", "import-space", *word.split())
    assert (done.returncode, told in done.stdout) == (2, True), done.stdout
    assert "pipeline/" not in done.stdout
    assert [one.name for one in (project / "studies").iterdir()] == ["tiny"]
