"""Networks and scikit-learn's models as arms of one study, from its file to an answer."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import run_in
from fakes import parse

from pipeline.errors import StudyError
from pipeline.records.rows import read_rows

STUDY = """
question  = "Does a network read digits better than a support vector machine?"
dataset   = "digits"
seed      = 7
objective = { maximize = "val_accuracy" }
[compare]
model = { choice = ["mlp", "svm"] }
[fixed]
epochs = 2
[space]
learning_rate = { float = [1e-3, 1e-1], log = true, when = { model = "mlp" } }
hidden_units  = { int = [16, 64], step = 16 }
C             = { float = [0.1, 100.0], log = true }
[search]
trials     = 2
parallel   = 2
start_with = ["centre"]
[confirm]
top     = 1
repeats = 3
"""


def spaces(text: str = STUDY) -> dict[str, tuple[str, ...]]:
    """What each arm of a study searches."""
    study = parse(text, "mixed")
    return {arm.name: study.space_of(arm).names for arm in study.arms}


def test_each_arm_searches_what_its_model_has():
    """Said by `when`, or by the model itself: no arm is given what it does not read."""
    assert spaces() == {"mlp": ("learning_rate", "hidden_units"), "svm": ("C",)}


def test_each_arm_starts_in_the_centre_of_its_own_space():
    """And an estimator's one epoch is no other arm's."""
    mlp, svm = parse(STUDY, "mixed").arms
    assert mlp.search.start_with == [{"learning_rate": 0.01, "hidden_units": 48}]
    assert [dict(one) for one in svm.search.start_with] == [{"C": pytest.approx(3.16228)}]
    assert (mlp.epochs, svm.epochs) == (2, 1)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('when = { model = "mlp" }', 'when = { model = "cnn" }', "must name a value of model that is compar"),
        ("C             =", "max_depth     =", "unknown hyperparameter"),
        ('choice = ["mlp", "svm"]', 'choice = ["mlp", "svm", "decision_tree"]', "leave each arm something"),
        ("[compare]\nmodel", "[space]\nmodel", "must be arms: they are trained for unlike numbers of epochs"),
        ("epochs = 2", "epochs = 2\nn_neighbors = 3", "unknown hyperparameter"),
    ],
)
def test_what_cannot_be_compared_is_told(old, new, told):
    """Before anything is trained, with the place in the file."""
    text = STUDY.replace(old, new)
    text = text.replace("[fixed]\nepochs = 2\n[space]\n", "") if "[space]\nmodel" in new else text
    with pytest.raises(StudyError, match=told):
        parse(text, "mixed")


@pytest.mark.slow
def test_a_mixed_study_is_searched_confirmed_replayed_and_asked(tmp_path: Path) -> None:
    """By its commands, with real training: both arms have their trials, any of which can be trained again."""
    assert run_in(tmp_path, "study", "init", ".").returncode == 0
    folder = tmp_path / "studies/mixed"
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    for stage in ("check", "prepare", "baseline", "search", "confirm", "report"):
        done = run_in(tmp_path, "study", stage, "mixed")
        assert done.returncode == 0, done.stdout
    rows = read_rows(folder / "trials.csv")
    assert [(row["arm"], row["epochs"]) for row in rows] == [*2 * [("mlp", "2")], *2 * [("svm", "1")]]
    assert {row["state"] for row in rows} == {"complete"}
    winner = json.loads((folder / "winner/conclusion.json").read_text())["winner"]["configuration"]
    assert winner["model"] == "svm"
    assert (folder / "winner/model.weights.skops").is_file()
    replayed = run_in(tmp_path, "study", "replay", "mixed", "mlp:0", "svm:0").stdout
    assert replayed.count("verified") == 2, replayed
    image = np.load(tmp_path / "data/mixed/test_images.npy")[:1]
    np.save(tmp_path / "one.npy", image)
    version = "1"
    answered = run_in(tmp_path, "study", "predict", "mixed", "one.npy", "--version", version)
    [label] = np.load(tmp_path / "data/mixed/test_labels.npy")[:1]
    assert answered.stdout.split()[1] == str(label), answered.stdout
