"""What a study that starts from another is told of it."""

from dataclasses import replace

import pytest
from fakes import parse

from pipeline.errors import StudyError
from pipeline.records.project import earlier

OLD = """
question = "How narrow may it be?"
dataset = "digits"
seed = 1
[fixed]
epochs = 3
[space]
learning_rate = { float = [1e-4, 1e-2], log = true }
batch_size = { choice = [32, 64] }
[search]
trials = 9
"""
NEW = OLD.replace(
    "batch_size = { choice = [32, 64] }",
    "batch_size = { choice = [32, 128] }\nhidden_units = { int = [64, 256] }",
)
NEW = NEW.replace("trials = 9", 'trials = 9\nstart_from = "old"')
ROWS = """arm,number,state,learning_rate,batch_size,epochs,loss,score,reason
search,0,complete,0.001,32,3,1,0.9,
search,1,complete,0.002,64,3,1,0.8,
search,2,pruned,0.003,32,1,1,0.7,
search,3,failed,0.004,32,0,,,broken
search,4,complete,0.005,32,3,1,0.6,
"""


@pytest.fixture
def trials(tmp_path):
    path = tmp_path / "trials.csv"
    path.write_text(ROWS)
    return path


def told(trials, new=NEW, old=OLD):
    return earlier(parse(new, "new"), parse(old, "old"), trials)


def test_complete_trials_that_lie_in_the_new_space_are_told(trials):
    """With the value that the old study held still for what is searched now: 128 units."""
    assert told(trials) == {
        "search": [
            ({"learning_rate": 0.001, "batch_size": 32, "hidden_units": 128}, 0.9),
            ({"learning_rate": 0.005, "batch_size": 32, "hidden_units": 128}, 0.6),
        ]
    }


@pytest.mark.parametrize("change", ["epochs = 5", 'epochs = 3\nactivation = "tanh"'])
def test_trials_that_the_new_study_would_not_make_are_not_told(trials, change):
    """What is held still must have been the same."""
    assert told(trials, NEW.replace("epochs = 3", change)) == {"search": []}


def test_each_arm_is_told_its_own(trials):
    """The one whose activation the old study had."""
    arms = '[compare]\nactivation = { choice = ["relu", "tanh"] }\n[space]'
    found = told(trials, NEW.replace("[space]", arms))
    assert {arm: len(trials) for arm, trials in found.items()} == {"relu": 2, "tanh": 0}


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ('"digits"', '"mnist-sample"'),
        ("seed = 1", 'seed = 1\nobjective = { minimize = "val_loss" }'),
        ("[fixed]", "[split]\nval = 0.3\n[fixed]"),
    ],
)
def test_scores_that_do_not_compare_are_refused(trials, was, now):
    """Of other data, of another split, of another objective."""
    with pytest.raises(StudyError, match="start_from: must name a study with the same"):
        told(trials, NEW.replace(was, now))


def test_a_study_that_was_not_searched_is_refused(tmp_path):
    """The message names the command."""
    with pytest.raises(StudyError, match="Run: study search old"):
        told(tmp_path / "trials.csv")


def test_what_was_told_is_part_of_what_the_search_depends_on(trials):
    """Other trials, another key; without them the plan says nothing of it."""

    study = parse(NEW, "new")
    plans = [
        replace(study, earlier=one).plan()["search"]["arms"][0] for one in (told(trials), {"search": []})
    ]
    assert plans[0]["earlier"] != plans[1]["earlier"]
    assert "earlier" not in parse(OLD, "old").plan()["search"]["arms"][0]
