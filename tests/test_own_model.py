"""A model of the user's own: from its file to a report, and what is said of mistakes in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, environment, run_in

from pipeline.errors import StudyError
from pipeline.learners import Found
from pipeline.learners.own import declared
from pipeline.learners.own_code import sources
from pipeline.study import DataShape, load

STUDY = """
question = "Does my network profit from width?"
dataset  = "digits"
model    = "model.py:build"
seed     = 3
objective = { maximize = "val_accuracy" }
[split]
test = 0.5
val = 0.5
[baseline]
width = 8
norm  = "none"
epochs = 2
[fixed]
epochs = 2
[space]
learning_rate = { float = [1e-3, 1e-2], log = true }
width = { int = [4, 16] }
norm  = { choice = ["none", "batch"] }
[search]
trials = 4
parallel = 2
[confirm]
top = 1
repeats = 3
"""
MODEL = '''
"""A network with a layer of a file beside it."""
import keras
from layers_of_mine import hidden

def build(config, input_shape, num_classes):
    layers = keras.layers
    model = keras.Sequential([keras.Input(input_shape), layers.Rescaling(1 / 255), layers.Flatten()])
    hidden(model, config["width"], config["norm"])
    model.add(keras.layers.Dropout(0.1))
    model.add(keras.layers.Dense(num_classes, activation="softmax"))
    return model
'''
LAYERS = """
import keras

def hidden(model, width, norm):
    model.add(keras.layers.Dense(width, activation="relu"))
    if norm == "batch":
        model.add(keras.layers.BatchNormalization())
"""
TRAIN = """
import numpy as np

def train(model, config, data):
    (inputs, labels), (val_inputs, val_labels) = data.train, data.val
    while True:
        order = np.random.permutation(len(labels))
        loss, accuracy = model.train_on_batch(inputs[order][:64], labels[order][:64])
        answers = model.predict_on_batch(val_inputs)
        yield {"loss": loss, "right": (answers.argmax(axis=1) == val_labels).mean()}
"""


# Any metric that a loop yields may decide.
LOOPED = STUDY.replace('maximize = "val_accuracy"', 'maximize = "right"')


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A project whose one study trains a model of its own."""
    return project(tmp_path / "project")


def project(folder: Path, model: str = MODEL, study: str = STUDY) -> Path:
    files = {"study.toml": study, "model.py": model, "layers_of_mine.py": LAYERS}
    for name, text in files.items():
        path = folder / "studies/own" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def opened(folder: Path):
    study = folder / "studies/own"
    return load(study / "study.toml", Found(folder, study))


def run(folder: Path, *stages: str) -> None:
    for stage in stages:
        done = run_in(folder, "study", stage, "own")
        assert done.returncode == 0, done.stdout


def refused(folder: Path, *, prepared: bool = True) -> str:
    """What `study check` says of the study, once its data are prepared."""
    if prepared:
        assert run_in(folder, "study", "prepare", "own").returncode == 0
    done = run_in(folder, "study", "check", "own")
    assert done.returncode == 2
    assert "pipeline/" not in done.stdout
    return done.stdout


def test_hyperparameters_are_those_that_the_study_file_names(own: Path) -> None:
    """Their kinds come from the space, their defaults from the baseline; training adds its own four."""
    study = opened(own)
    known = study.learner.hyperparameters
    assert list(known) == ["batch_size", "learning_rate", "schedule", "epochs", "width", "norm"]
    assert (known["width"].kind, known["width"].default, known["norm"].kind) == (int, 8, None)
    assert study.baseline.configuration["norm"] == "none"
    assert "model" not in study.baseline.configuration


def test_the_key_holds_the_file_and_its_imports_and_nothing_else(own: Path) -> None:
    """Code counts, a comment or a docstring does not, and no other file of the project does."""
    folder = own / "studies/own"
    before = sources(folder / "model.py", own)
    assert list(before) == ["studies/own/layers_of_mine.py", "studies/own/model.py"]
    (folder / "unrelated.py").write_text("x = 1\n")
    (folder / "model.py").write_text(MODEL.replace("A network with", "My network with") + "# A remark.\n")
    assert sources(folder / "model.py", own) == before
    (folder / "layers_of_mine.py").write_text(LAYERS.replace("relu", "tanh"))
    assert opened(own).plan()["search"]["sources"] != before


def test_a_hyperparameter_of_ones_own_needs_a_baseline(own: Path) -> None:
    """It has no default that this program could know."""
    path = own / "studies/own/study.toml"
    path.write_text(STUDY.replace("width = 8\n", ""))
    with pytest.raises(StudyError, match=r"\[baseline\] width: must be given: .* no default"):
        opened(own)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("gone.py:build", "the model's file must be there"),
        ("../../../etc/model.py:build", "the model's file must be there"),
        ("model.py:make", "model.py must have the function make"),
        ("model:build", "must be one of mlp, cnn, .*, or a file of your own"),
    ],
)
def test_a_model_that_is_not_there_is_told_with_a_way_out(own: Path, word: str, message: str) -> None:
    """Before anything is imported or written."""
    path = own / "studies/own/study.toml"
    path.write_text(STUDY.replace("model.py:build", word))
    with pytest.raises(StudyError, match=message):
        opened(own)


def test_a_file_that_is_no_python_is_told_by_its_line(own: Path) -> None:
    """Its first mistake, with the number of the line; nothing that would follow from it is told beside it."""
    project(own, "def build(config)\n    pass\n", LOOPED)
    with pytest.raises(StudyError, match=r"must be Python: .*\nReceived: line 1: def build") as raised:
        opened(own)
    assert len(raised.value.problems) == 1


def test_a_function_may_come_from_another_file(own: Path) -> None:
    """As the process that trains sees it: `build`, or `train`, is imported."""
    project(own, "from nets import build, train\n", LOOPED)
    (own / "studies/own/nets.py").write_text(MODEL + TRAIN)
    assert opened(own).learner.metrics["right"] == "maximize"


def test_the_objective_of_a_loop_may_be_any_metric_in_the_direction_of_the_file(own: Path) -> None:
    """Without a loop it is one that training reports; a loss of training's own is never one."""
    assert opened(project(own, MODEL + TRAIN, LOOPED)).learner.metrics["right"] == "maximize"
    with pytest.raises(StudyError, match="must name a metric that the model reports"):
        opened(project(own, MODEL, LOOPED))
    with pytest.raises(StudyError, match="must be measured on val"):
        opened(project(own, MODEL + TRAIN, LOOPED.replace('maximize = "right"', 'minimize = "loss"')))


def test_declared_takes_what_is_no_table_for_none() -> None:
    """Wrong tables are told by the checks that come after."""
    assert list(declared({"space": 1, "baseline": [], "fixed": None})) == list(declared({}))


@pytest.mark.slow
def test_a_model_of_ones_own_goes_from_check_to_report_and_replays(own: Path) -> None:
    """The same bytes twice, replayed to the last bit; edited, it is not comparable and searched anew."""
    run(own, "check", "prepare", "check", "baseline", "search", "confirm", "report")
    trials = (own / "studies/own/trials.csv").read_bytes()
    again = project(own.parent / "again")
    run(again, "prepare", "baseline", "search", "confirm")
    for name in ("trials.csv", "confirm.csv", "winner/model.weights.h5"):
        assert (own / "studies/own" / name).read_bytes() == (again / "studies/own" / name).read_bytes()
    assert "verified" in run_in(own, "study", "replay", "own", "0").stdout
    path = own / "studies/own/layers_of_mine.py"
    path.write_text(LAYERS.replace("relu", "tanh"))
    assert "not comparable: study.sources" in run_in(own, "study", "replay", "own", "0").stdout
    done = run_in(own, "study", "search", "own")
    assert "starts anew, because this has changed since the last time: study.sources" in done.stdout
    assert (own / "studies/own/trials.csv").read_bytes() != trials


@pytest.mark.slow
def test_a_model_costs_by_its_weights_and_a_larger_one_more(own: Path) -> None:
    """Counted on the built model: 64 pixels to 8 units to 10 classes, weights and biases."""
    run(own, "prepare")
    study = opened(own)
    card = json.loads((own / "data/own/card.json").read_text())
    data = DataShape.of(card)
    plain = dict(study.baseline.configuration)
    steps = -(-data.num_train // plain["batch_size"]) * 4_000_000
    weights = (64 * 8 + 8) + (8 * 10 + 10)
    assert study.learner.cost(plain, data) == (3 * data.num_train + data.num_val) * weights + steps
    assert study.learner.cost({**plain, "width": 16}, data) > study.learner.cost(plain, data)


@pytest.mark.slow
def test_a_loop_of_ones_own_trains_and_is_the_same_twice(own: Path) -> None:
    """A generator that yields metrics for each epoch; what it draws without a seed is seeded by the trial."""
    project(own, MODEL + TRAIN, LOOPED)
    run(own, "prepare", "search")
    trials = (own / "studies/own/trials.csv").read_text()
    assert trials.count(",complete,") == 4
    # It reports no val_loss, which no later stage needs.
    run(own, "baseline", "confirm", "report")
    again = project(own.parent / "again", MODEL + TRAIN, LOOPED)
    env = {**environment(), "STUDY_WORKERS": "1"}
    for stage in ("prepare", "search"):
        subprocess.run(["study", stage, "own"], cwd=again, env=env, check=True, capture_output=True)
    assert (again / "studies/own/trials.csv").read_text() == trials


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('config["width"]', 'config["widht"]', ["widht is read and not declared", "model.py"]),
        (
            'hidden(model, config["width"], config["norm"])',
            'config["norm"]',
            ["declared and never read", "width"],
        ),
        (
            "    return model",
            "    raise RuntimeError('my own mistake')",
            ["model.py", "line 12", "my own mistake"],
        ),
        ("    return model", "    import time; time.sleep(1e9)", ["must be built within"]),
        ("return model\n", f"return model\n{TRAIN}", ["must yield the objective val_accuracy", "'right'"]),
    ],
)
def test_a_mistake_in_the_file_is_shown_with_its_line(
    own: Path, old: str, new: str, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user's own lines and none of ours; nothing is written; exit code 2."""
    monkeypatch.setenv("STUDY_EXAMINE_SECONDS", "20" if "sleep" in new else "120")
    (own / "studies/own/model.py").write_text(MODEL.replace(old, new))
    said = refused(own)
    assert all(part in said for part in told), said
    assert not (own / "studies/own/plan.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("example", ["own-network", "own-loop"])
def test_an_example_that_ships_is_short_and_trains(tmp_path: Path, example: str) -> None:
    """Copied into a project it is examined and searched; its model has 25 lines at most."""
    folder = tmp_path / "studies" / example
    shutil.copytree(ROOT / "examples" / example, folder)
    assert len((folder / "model.py").read_text().splitlines()) <= 25
    path = folder / "study.toml"
    path.write_text(re.sub(r"trials +=.*", "trials = 2", path.read_text()))
    for stage in ("prepare", "search"):
        done = run_in(tmp_path, "study", stage, example)
        assert done.returncode == 0, done.stdout
    assert "2 complete" in done.stdout
