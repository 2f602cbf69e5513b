"""Who is trained on which seeds: the candidates first, then the best of them on seeds of its own."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakePool, cost, outcome
from mending import record

from pipeline.errors import DataError
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.search import Loop, Rules
from pipeline.stages.answers import Contender
from pipeline.stages.conclusion import confirmed
from pipeline.stages.confirm import confirm
from pipeline.stages.context import Result
from pipeline.stages.selection import LONGER, WINNER, Candidate, Rounds, Selection
from pipeline.trial import EpochResult
from pipeline.workers import VirtualTrainer

BASELINE = Contender({"name": "plain", "epochs": 2}, [], Path())
PATH = Path("trials.csv")


def selection(names="abc", beside=None, is_maximized=True, spent=None):
    """Candidates in the order in which the search preferred them, on two fresh seeds each."""
    chosen = [Candidate("arm", number, {"name": name, "epochs": 1}, 0.9) for number, name in enumerate(names)]
    return Selection(chosen, beside or {}, spent or {}, 2, is_maximized)


def told(*groups):
    """Outcomes by number of groups of scores; one without scores has failed."""
    scores = [score for group in groups for score in group]
    return {
        number: outcome(number, score)
        if score
        else outcome(number, state="failed", reason="diverged at epoch 2")
        for number, score in enumerate(scores)
    }


def found(chosen, *groups, baseline=BASELINE):
    return confirmed(chosen, Result(list(told(*groups).values()), Path(), "key"), baseline, PATH)


def names(contenders):
    return "".join(str(one.configuration["name"]) for one in contenders)


def trained(scores, chosen, recorded=None):
    """What a loop trains of a selection whose repeats score so by name and seed path: (name, seed path)."""
    seen = []

    def train(trial, epoch):
        name = trial.configuration["name"]
        seen.append((name, trial.seed_path))
        score = scores.get((name, trial.seed_path[0]), 0.5)
        reason = "" if score else "diverged"
        return EpochResult(trial.number, epoch, {"val_accuracy": score}, reason=reason)

    trainer = VirtualTrainer(FakePool(train), cost, recorded or {})
    outcomes = Loop(Rounds(chosen), trainer, Rules("val_accuracy", True, 3), lambda _: None).run()
    return sorted(set(seen), key=seen.index), outcomes


def test_the_winner_is_trained_on_a_second_set_of_seeds():
    """Every repeat of every candidate first, then the best again, with seed paths that nothing else has."""
    seen, outcomes = trained({("b", "confirm"): 0.9}, selection())
    assert sorted(seen[:6]) == [(name, ("confirm", repeat)) for name in "abc" for repeat in (0, 1)]
    assert sorted(seen[6:]) == [("b", (WINNER, 0)), ("b", (WINNER, 1))]
    assert sorted(one.trial.number for one in outcomes) == list(range(selection().num_trials))


def test_what_is_recorded_is_not_trained_again_wherever_it_ends():
    """Killed after any trial, also amid the second set, the same trials are trained, each once."""
    scores = {("b", "confirm"): 0.9, ("b", WINNER): 0.7}
    _, whole = trained(scores, selection())
    for kept in range(len(whole)):
        seen, outcomes = trained(scores, selection(), {one.trial.number: one for one in whole[:kept]})
        assert (outcomes, len(seen)) == (whole, len(whole) - kept)


@pytest.mark.slow
def test_a_confirm_that_is_killed_amid_the_second_set_ends_with_the_same_bytes(ran):
    """Its record has a part of the winner's repeats; the rest is trained, and nothing else."""
    folder, results = record(ran, "confirm"), ran / "studies/tiny"
    names = ("confirm.csv", "winner/conclusion.json", "winner/model.weights.h5")
    before, path = [(results / name).read_bytes() for name in names], folder / "record.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-2]))
    (folder / "done.json").unlink()
    confirm(Project(ran), "tiny")
    assert [(results / name).read_bytes() for name in names] == before
    paths = [one.trial.seed_path for _, one in sorted(Ledger(path).outcomes.items())]
    assert paths[-3:] == [(WINNER, 0), (WINNER, 1), (WINNER, 2)]
    assert len(path.read_bytes().splitlines()) == len(lines) == len(paths)


def test_one_candidate_is_trained_once():
    """Nothing was chosen among its scores, so they are its own."""
    seen, _ = trained({}, selection("a"))
    assert [path for _, path in seen] == [("confirm", 0), ("confirm", 1)]
    assert found(selection("a"), (0.5, 0.6)).winner.scores == [0.5, 0.6]


def test_what_chose_the_winner_is_not_what_is_reported_of_it():
    """Its candidate keeps the scores that chose it; the winner has those of the second set."""
    one = found(selection("ab"), (0.5, 0.6), (0.8, 0.9), (0.7, 0.6))
    assert (names(one.order), one.is_retrained) == ("ba", True)
    assert (one.order[0].scores, one.winner.scores) == ([0.8, 0.9], [0.7, 0.6])
    assert list(one.groups) == ["baseline", "winner", "candidate-1", "candidate-2"]


def test_a_winner_that_fails_on_the_second_set_makes_way_for_the_next():
    """It is left out as one that fails on the first is, and the next best is trained there."""
    seen, outcomes = trained({("b", "confirm"): 0.9, ("b", WINNER): 0.0}, selection())
    assert [name for name, path in seen if path[0] == WINNER] == ["b", "b", "a", "a"]
    one = confirmed(selection(), Result(outcomes, Path(), "key"), BASELINE, PATH)
    assert (names(one.order), names([one.winner])) == ("ac", "a")


@pytest.mark.parametrize(("is_maximized", "order"), [(True, "bac"), (False, "cab")])
def test_candidates_are_ranked_by_their_mean_on_fresh_seeds(is_maximized, order):
    """What the search said of them counts no more."""
    scores = ((0.8, 0.6), (0.8, 0.8), (0.1, 0.9), (0.5, 0.5))
    assert names(found(selection(is_maximized=is_maximized), *scores).order) == order


def test_of_equal_candidates_the_one_that_the_search_preferred_wins():
    """The order in which they were chosen breaks the tie."""
    assert names(found(selection("ab"), (0.5, 0.7), (0.7, 0.5), (0.5, 0.5)).order) == "ab"


def test_a_candidate_with_a_failed_repeat_is_left_out():
    """However good its other repeat is; the next stands for the search's own best, and is said to."""
    one = found(selection("ab"), (0.9, 0), (0.1, 0.2), (0.1, 0.1))
    assert (names(one.order), names([one.search_best]), one.is_first) == ("b", "b", False)
    assert found(selection("ab"), (0.9, 0.9), (0.1, 0.2), (0.1, 0.1)).is_first


@pytest.mark.parametrize("groups", [((0.9, 0), (0.8, 0)), ((0.9, 0.9), (0.8, 0), (0.9, 0))])
def test_without_a_whole_candidate_there_is_no_winner(groups):
    """On the first set of seeds or on the second; the message gives the reasons, each once."""
    message = (
        "trials.csv: at least one candidate must train on every fresh seed.\n"
        "Received: diverged at epoch 2. Narrow the space"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        found(selection("ab"), *groups)


def test_two_arms_may_have_the_same_configuration():
    """Each keeps its own repeats, and what the search alone would have chosen is the first."""
    one, other = (Candidate(arm, 0, {"name": "a", "epochs": 1}, 0.9) for arm in ("first", "second"))
    both = replace(selection(), candidates=[one, other], spent={"first-half": other})
    contenders = found(both, (0.5, 0.5), (0.6, 0.6), (0.4, 0.4))
    scores = {arm: each.scores for arm, each in contenders.leaders.items()}
    assert scores == {"second": [0.6] * 2, "first": [0.5] * 2}
    assert contenders.search_best.candidate is one
    assert contenders.budgets["first-half"] is contenders.search_best


def test_the_longer_baseline_stands_beside_and_never_wins():
    """However good; of another model than the winner's it says nothing of longer training."""
    chosen = selection("a", {LONGER: {"name": "plain", "epochs": 9}})
    one = found(chosen, (0.5, 0.5), (0.9, 0.9))
    assert (names([one.winner]), one.longer.scores) == ("a", [0.9, 0.9])
    other = replace(BASELINE, configuration={"name": "plain", "epochs": 2, "model": "cnn"})
    assert found(chosen, (0.5, 0.5), (0.9, 0.9), baseline=other).longer is None
    assert found(chosen, (0.5, 0.5), (0.9, 0)).longer is None


def test_what_part_of_the_budget_found_is_trained_once():
    """One that is a candidate is taken from there, one that two parts share stands in one place."""
    early = Candidate("arm", 7, {"name": "early", "epochs": 1}, 0.8)
    chosen = selection("ab", {"first-half": early.configuration}, spent={"first-half": early})
    both = replace(chosen, spent={"first-half": early, "first-quarter": early})
    one = found(both, (0.5, 0.5), (0.6, 0.6), (0.9, 0.9), (0.5, 0.5))
    assert one.budgets["first-half"] is one.budgets["first-quarter"]
    assert list(one.groups)[-1:] == ["first-half"]
    known = replace(chosen, beside={}, spent={"first-half": chosen.candidates[0]})
    one = found(known, (0.5, 0.5), (0.6, 0.6), (0.5, 0.5))
    assert one.budgets["first-half"] is one.search_best
