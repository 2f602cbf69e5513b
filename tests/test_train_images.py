"""Fewer training images: the same for all trials, the fewer among the more, and the cost follows."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import run_in, write_study
from fakes import parse

from pipeline.learners.mixed import Mixed
from pipeline.records.rows import read_rows
from pipeline.space import defaults
from pipeline.study import DataShape
from pipeline.training.program import num_used, used

STUDY = """
question  = "Where does a forest stop gaining from more digits?"
dataset   = "digits"
model     = "random_forest"
seed      = 7
objective = { maximize = "val_accuracy" }
[compare]
train_images = { choice = [20, 1000] }
[space]
n_estimators = { int = [5, 20] }
[search]
trials = 2
[confirm]
top     = 1
repeats = 3
"""
SHAPE = DataShape((8, 8, 1), 10, 1_000, 200)


def test_the_fewer_are_among_the_more() -> None:
    """Each once, ascending, of the study's seed alone; as many as there are are all of them."""
    few, more = (used(7, {"train_images": num}, 500) for num in (20, 100))
    assert few is not None
    assert more is not None
    assert len(set(few)) == len(few) == 20
    assert {*few} < {*more}
    assert list(few) == sorted(few)
    assert list(used(8, {"train_images": 20}, 500)) != list(few)
    assert [used(7, asked, 500) for asked in ({"train_images": 500}, {"train_images": 0}, {})] == [None] * 3


@pytest.mark.parametrize("model", ["mlp", "rnn", "svm", "random_forest"])
def test_fewer_images_cost_less(model: str) -> None:
    """In proportion to nothing but the images that are trained on."""
    configuration = {**defaults(Mixed().hyperparameters), "model": model}
    costs = [Mixed().cost({**configuration, "train_images": num}, SHAPE) for num in (100, 900, 1_000, 0)]
    assert costs[0] < costs[1] < costs[2] == costs[3] == Mixed().cost(configuration, SHAPE)
    assert num_used({"train_images": 5_000}, 1_000) == 1_000


def test_a_study_has_a_column_for_it_where_it_names_it() -> None:
    """Compared, fixed or searched it is a hyperparameter of every learner; else there is none."""
    study = parse(STUDY, "fewer")
    assert [arm.fixed["train_images"] for arm in study.arms] == [20, 1_000]
    assert study.baseline.configuration["train_images"] == 0
    plain = parse(STUDY.replace("[compare]\ntrain_images = { choice = [20, 1000] }\n", ""), "plain")
    assert "train_images" not in plain.learner.hyperparameters


@pytest.mark.slow
def test_more_images_make_a_better_forest(tmp_path: Path) -> None:
    """By the commands, with real data; more than train has is refused before anything is trained."""
    write_study(tmp_path, "fewer", STUDY)
    for stage in ("prepare", "check", "search"):
        done = run_in(tmp_path, "study", stage, "fewer")
        assert done.returncode == 0, done.stdout
    scores = {row["arm"]: float(row["score"]) for row in read_rows(tmp_path / "studies/fewer/trials.csv")}
    assert scores["1000"] > scores["20"] + 0.1
    write_study(tmp_path, "fewer", STUDY.replace("1000]", "2000]"))
    refused = run_in(tmp_path, "study", "search", "fewer")
    assert (refused.returncode, "train_images: must be 1,150 at most" in refused.stdout) == (2, True)
