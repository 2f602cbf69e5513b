"""What confirm concludes, against numbers worked out by hand."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import outcome

from pipeline.errors import DataError
from pipeline.stages.conclusion import Candidate, Contender, TestResult, conclude, ranked
from pipeline.statistics import Components, crossed_interval, resolution

# Student's t with one degree of freedom: the interval of two values is their mean ± T · their distance / 2.
T = math.tan(math.pi * 0.475)
LABELS = np.array([0, 0, 1, 1])


def context(is_maximized=True, repeats=2):
    """As much of a context as a conclusion needs."""
    objective = SimpleNamespace(metric="val_accuracy", is_maximized=is_maximized)
    study = SimpleNamespace(objective=objective, confirm=SimpleNamespace(repeats=repeats), compared=None)
    return SimpleNamespace(study=study, card={"classes": ["cat", "dog"]})


def contender(*scores, name="a", search_score=None, failed=False):
    """A configuration retrained as often as there are scores."""
    outcomes = [outcome(number, score) for number, score in enumerate(scores)]
    outcomes += [outcome(9, state="failed", reason="diverged at epoch 2")] if failed else []
    known = Candidate("arm", 3, {"name": name}, search_score) if search_score is not None else None
    return Contender({"name": name}, outcomes, Path(), known)


def answered(*predicted):
    return TestResult(
        LABELS, [np.array(classes) for classes in predicted], [np.full(4, 0.5), np.full(4, 1.5)]
    )


def interval(low, high):
    """The interval of two values, in the words of the conclusion, but for rounding."""
    middle, half = (low + high) / 2, T * abs(high - low) / 2
    return pytest.approx({"mean": middle, "low": middle - half, "high": middle + half}, rel=1e-12)


WINNER = answered([0, 0, 1, 1], [0, 0, 1, 0])
BASELINE = answered([0, 1, 0, 1], [0, 0, 0, 0])


def concluded(**more):
    candidates = [contender(0.9, 0.8, name="b", search_score=0.95), contender(0.7, 0.6, search_score=0.6)]
    return conclude(context(**more), candidates, contender(0.5, 0.6, name="plain"), WINNER, BASELINE)


def test_accuracy_and_loss_are_means_with_intervals():
    """Over the repeats: 4 of 4 and 3 of 4 right; losses 0.5 and 1.5."""
    found = WINNER.as_dict(["cat", "dog"])
    assert found["test_accuracies"] == [1.0, 0.75]
    assert found["test_accuracy"]["mean"] == 0.875
    assert 0 < found["test_accuracy"]["low"] < 0.875 < found["test_accuracy"]["high"] < 1
    assert found["test_loss"]["mean"] == 1.0
    # The log of the loss is as far from either end: every input loses alike, so seeds alone count.
    assert math.log(found["test_loss"]["high"]) == pytest.approx(T * 0.5)
    assert not found["is_deterministic"]


def test_confusion_is_summed_over_repeats():
    """True class down, predicted class across: one dog in four was taken for a cat."""
    assert WINNER.as_dict(["cat", "dog"])["confusion"] == [[4, 0], [1, 3]]


def test_each_class_has_its_precision_and_recall():
    """Dogs: both repeats are right where they say dog; they find 2 of 2 and 1 of 2."""
    dog = WINNER.as_dict(["cat", "dog"])["per_class"][1]
    assert (dog["class"], dog["support"]) == ("dog", 2)
    assert (dog["precision"]["mean"], dog["precision"]["high"]) == (1.0, 1.0)
    assert (dog["recall"]["mean"], dog["precision"]["low"] < 0.5) == (0.75, True)


def test_the_difference_is_over_seeds_and_inputs():
    """0.875 - 0.5, with the interval of the statistics; what is judged is the same question here."""
    found, rights = concluded(), [one.per_input() for one in (WINNER, BASELINE)]
    assert found["difference"] == crossed_interval(*rights).as_dict() == found["judged"]["gain"]
    assert found["difference"]["mean"] == 0.375


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
    same = TestResult(LABELS, [LABELS, LABELS], [np.full(4, 0.1)] * 2)
    assert same.as_dict(["cat", "dog"])["is_deterministic"]
    other = TestResult(LABELS, [LABELS, LABELS], [np.full(4, 0.1), np.full(4, 0.2)])
    assert not other.as_dict(["cat", "dog"])["is_deterministic"]


def test_one_pair_of_models_is_compared_image_by_image():
    """The models of the first seed: the winner alone is right on two images, so p is two times a quarter."""
    assert concluded()["mcnemar"] == {"only_winner_right": 2, "only_baseline_right": 0, "p_value": 0.5}


def test_the_winner_comes_first_with_what_is_known_of_it():
    """Its configuration, the trial that proposed it, its scores on val and on test."""
    winner = concluded()["winner"]
    assert (winner["configuration"], winner["arm"], winner["number"]) == ({"name": "b"}, "arm", 3)
    assert winner["scores"] == [0.9, 0.8]
    assert winner["val_score"] == interval(0.8, 0.9)
    assert winner["test_accuracies"] == [1.0, 0.75]


def test_the_baseline_has_no_trial():
    """It was not searched for, so there is nothing that a search has promised."""
    baseline = concluded()["baseline"]
    assert baseline["test_accuracies"] == [0.5, 0.5]
    assert not {"arm", "number", "search_score", "optimism"} & set(baseline)


@pytest.mark.parametrize(("is_maximized", "optimism"), [(True, 0.1), (False, -0.1)])
def test_optimism_is_what_the_search_promised_too_much(is_maximized, optimism):
    """Positive if fresh seeds do worse than the search, whatever the direction."""
    winner = concluded(is_maximized=is_maximized)["winner"]
    assert winner["optimism"] == pytest.approx(optimism, rel=1e-12)


def test_evidence_is_json():
    """With the study's own words beside the numbers, and not a number of NumPy's."""
    found = concluded()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert (found["objective"], found["maximize"], found["repeats"]) == ("val_accuracy", True, 2)
    assert found["classes"] == ["cat", "dog"]
    assert [one["configuration"]["name"] for one in found["candidates"]] == ["b", "a"]


@pytest.mark.parametrize(("is_maximized", "order"), [(True, "bac"), (False, "cab")])
def test_candidates_are_ranked_by_their_mean_on_fresh_seeds(is_maximized, order):
    """What the search said of them counts no more."""
    some = [
        contender(0.8, 0.6, name="a", search_score=0.9),
        contender(0.8, 0.8, name="b", search_score=0.1),
        contender(0.1, 0.9, name="c", search_score=0.99),
    ]
    found = ranked(context(is_maximized), some, None)
    assert "".join(one.configuration["name"] for one in found) == order


def test_of_equal_candidates_the_one_that_the_search_preferred_wins():
    """The order in which they were chosen breaks the tie."""
    some = [contender(0.5, 0.7, name="a"), contender(0.7, 0.5, name="b")]
    assert [one.configuration["name"] for one in ranked(context(), some, None)] == ["a", "b"]


def test_a_candidate_with_a_failed_repeat_is_left_out():
    """However good its other repeats are."""
    some = [contender(0.9, name="a", failed=True), contender(0.1, 0.2, name="b")]
    assert [one.configuration["name"] for one in ranked(context(), some, None)] == ["b"]


def test_without_a_whole_candidate_there_is_no_winner():
    """The message gives the reasons, each once."""
    some = [contender(0.9, failed=True), contender(0.8, failed=True)]
    message = (
        "trials.csv: at least one candidate must train on every fresh seed.\n"
        "Received: diverged at epoch 2. Narrow the space"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        ranked(context(), some, "trials.csv")
