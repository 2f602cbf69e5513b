"""Which configurations are confirmed: the best distinct ones over all arms, and the best of each arm."""

import re
from dataclasses import replace

import pytest
from fakes import METRICS, parse

from pipeline.errors import DataError
from pipeline.records.rows import trial_columns, write_rows
from pipeline.stages.selection import BUDGETS, LONGER, Candidate, candidates, select

STUDY = """
question = "Which?"
dataset = "digits"
seed = 1
objective = {{ {objective} }}
[fixed]
epochs = 4
[compare]
activation = {{ choice = ["relu", "tanh"] }}
[space]
learning_rate = {{ choice = [0.1, 0.01, 0.001] }}
hidden_layers = {{ int = [0, 2] }}
[search]
trials = 9
[confirm]
top = {top}
"""
MAXIMIZE, MINIMIZE = 'maximize = "val_accuracy"', 'minimize = "val_loss"'


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trials.csv"


def study(top=2, objective=MAXIMIZE):
    return parse(STUDY.format(top=top, objective=objective), "tiny")


def row(arm, number, score, rate=0.1, layers=1, state="complete", epochs=4):
    """A row of trials.csv."""
    values = {"learning_rate": rate, "hidden_layers": layers}
    return {"arm": arm, "number": number, "state": state, "epochs": epochs, "score": score, **values}


def chosen(path, *rows, **more):
    """Which trials are chosen, in their order: (arm, number)."""
    write_rows(path, trial_columns(study().space, METRICS), rows)
    return [(one.arm, one.number) for one in candidates(study(**more), path)]


def selected(path, *rows, top=1, **replaced):
    """What is confirmed of these rows by a study whose text is changed so."""
    text = STUDY.format(top=top, objective=MAXIMIZE)
    for old, new in replaced.values():
        assert old in text
        text = text.replace(old, new)
    changed = parse(text, "tiny")
    write_rows(path, trial_columns(changed.space, METRICS), rows)
    return changed, select(changed, path)


def test_a_candidate_is_a_whole_configuration(path):
    """Its trial's values, its arm's, the fixed and the default ones, with the types of the study."""
    write_rows(path, trial_columns(study().space, METRICS), [row("tanh", 3, 0.9, rate=0.01, layers=2)])
    searched = {"activation": "tanh", "learning_rate": 0.01, "hidden_layers": 2, "epochs": 4}
    [found] = candidates(study(), path)
    assert found == Candidate("tanh", 3, {**study().defaults, **searched}, 0.9)
    assert repr(found.configuration["hidden_layers"]) == "2"


def test_the_best_over_all_arms_are_chosen(path):
    """As many as the study states, best first."""
    rows = [row("relu", 0, 0.5, 0.1), row("relu", 1, 0.9, 0.01), row("tanh", 0, 0.7, 0.001)]
    assert chosen(path, *rows) == [("relu", 1), ("tanh", 0)]


def test_an_arm_that_is_named_like_a_formula_has_its_say(path):
    """Its rows are found again, though what a spreadsheet sees of its name is not a formula."""
    named = replace(study(), compared={"activation": ("-relu", "'=tanh")})
    rows = [row("-relu", 0, 0.5, 0.1), row("'=tanh", 1, 0.9, 0.01)]
    write_rows(path, trial_columns(named.space, METRICS), rows)
    assert [(one.arm, one.number) for one in candidates(named, path)] == [("'=tanh", 1), ("-relu", 0)]


def test_a_loss_is_best_where_it_is_lowest(path):
    """The direction is the study's."""
    rows = [row("relu", 0, 0.5, 0.1), row("relu", 1, 0.9, 0.01), row("tanh", 0, 0.7, 0.001)]
    assert chosen(path, *rows, objective=MINIMIZE) == [("relu", 0), ("tanh", 0)]


def test_every_arm_has_its_best_confirmed(path):
    """An arm whose best is not among the top is confirmed all the same, after them."""
    rows = [row("relu", 0, 0.9, 0.1), row("relu", 1, 0.8, 0.01), row("tanh", 4, 0.1), row("tanh", 5, 0.2)]
    assert chosen(path, *rows) == [("relu", 0), ("relu", 1), ("tanh", 5)]


def test_equal_configurations_are_one_candidate(path):
    """The best of them stands for all, for however many epochs they were trained."""
    rows = [row("relu", 0, 0.9), row("relu", 1, 0.95, epochs=2), row("relu", 2, 0.8, 0.01)]
    assert chosen(path, *rows) == [("relu", 1), ("relu", 2)]


def test_of_equal_scores_the_earliest_trial_is_better(path):
    """Then the arm's name decides, so the choice is the same each time."""
    rows = [row("tanh", 1, 0.9, 0.1), row("relu", 1, 0.9, 0.01), row("tanh", 0, 0.9, 0.001)]
    assert chosen(path, *rows) == [("tanh", 0), ("relu", 1)]


def test_pruned_and_failed_trials_are_no_candidates(path):
    """Nor are those of an arm that the study no longer has."""
    rows = [
        row("relu", 0, 0.9, state="pruned"),
        row("relu", 1, None, state="failed"),
        row("sigmoid", 0, 0.99),
        row("relu", 2, 0.1),
    ]
    assert chosen(path, *rows) == [("relu", 2)]


def test_without_a_complete_trial_nothing_is_confirmed(path):
    """The message names the file and says what to do."""
    message = (
        "trials.csv: at least one trial must be complete.\nReceived: none. Read the reasons in that file"
    )
    with pytest.raises(DataError, match=re.escape(message)):
        chosen(path, row("relu", 0, 0.9, state="pruned"))


@pytest.mark.parametrize(
    "stale",
    [
        row("relu", 0, 0.9, rate=0.5),
        row("relu", 0, 0.9, layers=3),
        row("relu", 0, "good"),
        row("relu", "", 0.9),
    ],
)
def test_trials_of_another_space_are_refused(path, stale):
    """A study file that was edited after its search asks for a new search, not for a traceback."""
    must = "trials.csv: the trials must be those of the study file as it is now.\nReceived: "
    with pytest.raises(DataError, match=re.escape(must) + ".* Run: study search tiny"):
        chosen(path, stale)


@pytest.mark.parametrize(
    "text", ["arm,number,state\nrelu,0,complete\n", "nothing\nhere\n", "arm,state\nrelu\n"]
)
def test_a_file_with_other_columns_is_refused(path, text):
    """A hyperparameter that came in later, or a file that is something else."""
    path.write_text(text)
    with pytest.raises(DataError, match=r"trials\.csv: "):
        candidates(study(), path)


def test_the_baseline_is_confirmed_at_the_searchs_epochs(path):
    """Where these are others than its own and one number; what it has else stays."""
    one, found = selected(path, row("relu", 0, 0.9))
    assert found.beside == {LONGER: {**one.baseline.configuration, "epochs": 4}}
    assert found.num_trials == 2 * one.confirm.repeats
    _, same = selected(path, row("relu", 0, 0.9), epochs=("epochs = 4", "epochs = 5"))
    assert LONGER not in same.beside
    compared = (
        '[fixed]\nepochs = 4\n[compare]\nactivation = { choice = ["relu", "tanh"]',
        "[compare]\nepochs = { choice = [4, 9]",
    )
    _, several = selected(path, row("4", 0, 0.9), compared=compared)
    assert LONGER not in several.beside


def test_another_models_epochs_are_none_of_the_baselines(path):
    """An arm of another model trains as long as it likes."""
    compared = ('activation = { choice = ["relu", "tanh"]', 'model = { choice = ["cnn", "rnn"]')
    _, found = selected(path, row("cnn", 0, 0.9), compared=compared)
    assert LONGER not in found.beside


def test_what_a_part_of_the_budget_would_have_found_is_confirmed(path):
    """The best of the first half and the first quarter of each arm's trials, where they are no candidates."""
    rows = [row("relu", number, 0.5 + number / 10, rate) for number, rate in enumerate([0.1, 0.01, 0.001])]
    rows += [row("relu", 3, None, state="failed"), row("tanh", 0, 0.1)]
    _, found = selected(path, *rows)
    assert {part: one.number for part, one in found.spent.items()} == {"first-half": 1, "first-quarter": 0}
    assert [*found.beside] == [LONGER, *BUDGETS]
    assert found.beside["first-half"]["learning_rate"] == 0.01
    assert [*selected(path, *rows, top=3)[1].beside] == [LONGER]


def test_a_search_that_found_its_best_early_needs_no_more_trials(path):
    """What half of the budget would have found is its best candidate."""
    rows = [row("relu", 0, 0.9, 0.1), row("relu", 1, 0.8, 0.01)]
    _, found = selected(path, *rows)
    assert found.spent == dict.fromkeys(BUDGETS, found.candidates[0])
    assert [*found.beside] == [LONGER]


def test_of_several_searches_the_best_of_all_comes_first(path):
    """Then each search's best in the order of the study: what the search would have chosen is known."""
    rows = [row("relu", 0, 0.5), row("relu #2", 0, 0.7), row("tanh", 0, 0.9), row("tanh #2", 1, 0.6)]
    _, found = selected(path, *rows, top=1, searches=("trials = 9", "trials = 9\nsearches = 2"))
    assert [one.arm for one in found.candidates] == ["tanh", "relu", "relu #2", "tanh #2"]
