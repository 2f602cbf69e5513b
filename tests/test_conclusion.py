"""What confirm concludes, against numbers worked out by hand."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import outcome

from pipeline.stages.answers import Answers, Contender
from pipeline.stages.conclusion import Confirmed, compared_on_val, conclude
from pipeline.stages.selection import Candidate
from pipeline.statistics import Components, crossed_interval, paired_interval, resolution

# Student's t with one degree of freedom: the interval of two values is their mean ± T · their distance / 2.
T = math.tan(math.pi * 0.475)
LABELS = np.array([0, 0, 1, 1])
CLASSES = ["cat", "dog"]


def context(metric="val_accuracy", is_maximized=True, arms=("arm",)):
    """As much of a context as a conclusion needs."""
    objective = SimpleNamespace(metric=metric, is_maximized=is_maximized)
    study = SimpleNamespace(
        objective=objective,
        confirm=SimpleNamespace(repeats=2),
        compared={},
        arms=arms,
        rivals={"": {arm: [arm] for arm in arms}},
        search=SimpleNamespace(searches=1),
    )
    return SimpleNamespace(study=study, card={"classes": CLASSES})


def contender(*scores, name="a", search_score=None, arm="arm", first=0):
    """A configuration retrained as often as there are scores."""
    outcomes = [outcome(number, score) for number, score in enumerate(scores, start=first)]
    known = Candidate(arm, 3, {"name": name}, search_score) if search_score is not None else None
    return Contender({"name": name}, outcomes, Path(), known)


def answered(*predicted, metric="accuracy"):
    surprises = [np.full(4, 0.5), np.full(4, 1.5)]
    return Answers(LABELS, [np.array(classes) for classes in predicted], surprises, metric)


WINNER = answered([0, 0, 1, 1], [0, 0, 1, 0])
BASELINE = answered([0, 1, 0, 1], [0, 0, 0, 0])
LONG = answered([0, 0, 0, 1], [0, 0, 0, 1])
FIRST = contender(0.9, 0.8, name="b", search_score=0.95)
OTHER = contender(0.7, 0.6, search_score=0.97, arm="other")
FOUND = Confirmed(contender(0.5, 0.6, name="plain"), [FIRST, OTHER], FIRST, None, OTHER, True, {})
TESTS = {"winner": WINNER, "baseline": BASELINE}


def concluded(found=FOUND, on_test=TESTS, on_val=None, **more):
    return conclude(context(**more), found, on_test, on_val or {})


def test_accuracy_and_loss_are_means_with_intervals():
    """Over the repeats: 4 of 4 and 3 of 4 right; losses 0.5 and 1.5."""
    found = WINNER.as_dict(CLASSES)
    assert found["test_accuracies"] == [1.0, 0.75]
    assert found["test_accuracy"]["mean"] == 0.875
    assert 0 < found["test_accuracy"]["low"] < 0.875 < found["test_accuracy"]["high"] < 1
    assert found["test_loss"]["mean"] == 1.0
    # The log of the loss is as far from either end: every input loses alike, so seeds alone count.
    assert math.log(found["test_loss"]["high"]) == pytest.approx(T * 0.5)
    assert not found["is_deterministic"]


def test_confusion_is_summed_over_repeats():
    """True class down, predicted class across: one dog in four was taken for a cat."""
    assert WINNER.as_dict(CLASSES)["confusion"] == [[4, 0], [1, 3]]


def test_each_class_has_its_precision_and_recall():
    """Dogs: both repeats are right where they say dog; they find 2 of 2 and 1 of 2."""
    dog = WINNER.as_dict(CLASSES)["per_class"][1]
    assert (dog["class"], dog["support"]) == ("dog", 2)
    assert (dog["precision"]["mean"], dog["precision"]["high"]) == (1.0, 1.0)
    assert (dog["recall"]["mean"], dog["precision"]["low"] < 0.5) == (0.75, True)


def test_the_difference_is_over_seeds_and_inputs():
    """0.875 - 0.5, with the interval of the statistics; what is judged is the same question here."""
    found, (after, before) = concluded(), [one.per_input() for one in (WINNER, BASELINE)]
    assert found["difference"] == crossed_interval(after, before).as_dict() == found["judged"]["gain"]
    assert found["difference"]["mean"] == 0.375


def test_less_loss_is_a_gain():
    """The loss alone is better where it is smaller, so it is judged with its sign turned."""
    worse = replace(WINNER, surprises=[one + 1 for one in WINNER.surprises], metric="loss")
    judged = concluded(on_test={"winner": worse, "baseline": BASELINE})["judged"]
    assert (judged["metric"], judged["winner"], judged["gain"]["mean"]) == ("test_loss", [-1.5, -2.5], -1)


def test_the_conclusion_says_what_it_could_resolve():
    """The resolution is that of the parts of the difference's variance, at the size of the difference."""
    parts = Components.of(*(one.per_input() for one in (WINNER, BASELINE)))
    assert concluded()["resolution"] == resolution(parts, 0.375).as_dict()


@pytest.mark.parametrize("is_maximized", [True, False])
def test_a_metric_of_ones_own_is_judged_by_accuracy(is_maximized):
    """Test has no such metric; whichever way the search went, more accuracy is better."""
    judged = concluded(is_maximized=is_maximized)["judged"]
    assert (judged["metric"], judged["winner"]) == ("test_accuracy", [1.0, 0.75])
    assert judged["gain"]["mean"] == 0.375


def test_a_model_that_no_seed_changes_is_said_to_be_one():
    """Every repeat answers alike, to the last bit of its loss: the inputs alone give its interval."""
    same = Answers(LABELS, [LABELS, LABELS], [np.full(4, 0.1)] * 2)
    assert same.as_dict(CLASSES)["is_deterministic"]
    other = Answers(LABELS, [LABELS, LABELS], [np.full(4, 0.1), np.full(4, 0.2)])
    assert not other.as_dict(CLASSES)["is_deterministic"]


def test_the_models_of_the_median_score_are_compared_image_by_image():
    """Of two repeats the worse: the winner's second, the baseline's first; either alone is right once."""
    found = concluded()
    assert (found["winner"]["median_repeat"], found["baseline"]["median_repeat"]) == (1, 0)
    assert found["mcnemar"] == {"only_winner_right": 2, "only_baseline_right": 1, "p_value": 1.0}


def test_the_winner_comes_first_with_what_is_known_of_it():
    """Its configuration, the trial that proposed it, its scores on val and on test."""
    winner = concluded()["winner"]
    assert (winner["configuration"], winner["arm"], winner["number"]) == ({"name": "b"}, "arm", 3)
    assert winner["scores"] == [0.9, 0.8]
    middle = 0.1 / 2 * T
    assert winner["val_score"]["low"] == pytest.approx(0.85 - middle)
    assert winner["val_score"]["high"] == pytest.approx(0.85 + middle)
    assert winner["test_accuracies"] == [1.0, 0.75]


def test_the_baseline_has_no_trial():
    """It was not searched for, so there is nothing that a search has promised."""
    baseline = concluded()["baseline"]
    assert baseline["test_accuracies"] == [0.5, 0.5]
    assert not {"arm", "number", "search_score", "optimism"} & set(baseline)


@pytest.mark.parametrize(("is_maximized", "sign"), [(True, 1), (False, -1)])
def test_optimism_is_told_of_the_searchs_own_best_and_of_the_winner(is_maximized, sign):
    """Positive if fresh seeds do worse than the search, whatever the direction: 0.97 - 0.65, 0.95 - 0.85."""
    found = concluded(is_maximized=is_maximized)
    assert found["search_best"]["optimism"] == pytest.approx(sign * 0.32)
    assert found["winner"]["optimism"] == pytest.approx(sign * 0.1)


def test_a_gain_has_two_parts_where_training_is_longer():
    """The baseline at the search's epochs stands between: 0.75 - 0.5 by epochs, 0.875 - 0.75 by tuning."""
    longer = Contender({"epochs": 9}, FIRST.outcomes, Path())
    found = concluded(replace(FOUND, longer=longer), {**TESTS, "longer": LONG})["parts"]
    assert found["longer"] == LONG.gain(BASELINE).as_dict()
    assert found["tuning"] == WINNER.gain(LONG).as_dict()
    assert (found["epochs"], found["longer"]["mean"], found["tuning"]["mean"]) == (9, 0.25, 0.125)
    assert concluded()["parts"] is None


def test_arms_are_compared_as_winner_and_baseline_are():
    """Over seeds and inputs of val at once, by the answers of the best candidate of each arm."""
    on_val = {id(FIRST): WINNER, id(OTHER): LONG, id(FOUND.baseline): BASELINE}
    found = concluded(on_val=on_val, arms=("arm", "other"))
    gain = WINNER.gain(LONG).as_dict()
    could = {"other": WINNER.resolution(LONG).as_dict()}
    assert found["arms"] == [{"at": "", "best": "arm", "ahead_of": {"other": gain}, "resolution": could}]
    assert found["compared_over"] == "seeds and inputs"
    assert compared_on_val(context().study, FOUND) == [FOUND.baseline, FIRST, OTHER]
    assert concluded()["arms"] == []


def test_each_candidate_is_set_against_the_baseline_on_val():
    """Over seeds and inputs of val at once, as arms are."""
    on_val = {id(FIRST): WINNER, id(OTHER): LONG, id(FOUND.baseline): BASELINE}
    told = [one["over_baseline"] for one in concluded(on_val=on_val)["candidates"]]
    assert told == [one.gain(BASELINE).as_dict() for one in (WINNER, LONG)]


def test_arms_with_a_metric_of_ones_own_are_paired_by_seed():
    """No answers give it, so the seeds alone are left, and the conclusion says so."""
    found = concluded(metric="val_mine", arms=("arm", "other"))
    assert found["arms"][0]["ahead_of"] == {"other": paired_interval(FIRST.scores, OTHER.scores).as_dict()}
    assert found["compared_over"] == "seeds"
    assert compared_on_val(context("val_mine").study, FOUND) == []


@pytest.mark.parametrize("is_maximized", [True, False])
def test_what_the_end_of_the_budget_bought_is_a_gain(is_maximized):
    """The search's own best against that of a part of the trials; the same one is no gain to be measured."""
    part = contender(0.5, 0.5, name="c", search_score=0.9)
    found = replace(FOUND, budgets={"first-half": OTHER, "first-quarter": part})
    on_val = {id(OTHER): WINNER, id(part): LONG, id(FIRST): BASELINE, id(FOUND.baseline): BASELINE}
    told = concluded(found, on_val=on_val, is_maximized=is_maximized)["budgets"]
    gain = WINNER.gain(LONG) if is_maximized else LONG.gain(WINNER)
    assert told == {"first-half": None, "first-quarter": gain.as_dict()}
    assert compared_on_val(context().study, replace(found, order=[FIRST])) == [
        FOUND.baseline,
        FIRST,
        OTHER,
        part,
    ]


def test_a_conclusion_is_json():
    """With the study's own words beside the numbers, and not a number of NumPy's."""
    found = concluded()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["objective"], found["maximize"], found["repeats"]) == ("val_accuracy", True, 2)
    assert found["classes"] == CLASSES
    assert [one["configuration"]["name"] for one in found["candidates"]] == ["b", "a"]
