"""What an engine must leave out, and what it is told of an earlier search."""

from dataclasses import replace

import pytest
from fakes import ENGINES, SMALL, Logged, assignment, loop, num_trials

from pipeline.engines import MOST_REFUSED, open_engine
from pipeline.errors import StudyError
from pipeline.study.tables import LISTING

every_engine = pytest.mark.parametrize("names", ENGINES)


def small(configuration):
    """About two thirds of every space that the engines are tried in."""
    return configuration["batch_size"] < 100 and configuration["dropout"] < 0.45


def limited(names, allows=small, **more):
    return replace(assignment(*names, **more), allows=allows)


@every_engine
def test_what_is_not_allowed_is_not_proposed_and_costs_no_budget(names):
    """As many trials as without the limit, numbered without a gap; a list has the points that are left."""
    done = loop(limited(names)).run()
    assert all(small(one.trial.configuration) for one in done)
    assert sorted(one.trial.number for one in done) == list(range(len(done)))
    assert len(done) == num_trials(names[1]) or names[1] in LISTING


@every_engine
def test_a_limited_search_goes_on_as_if_nothing_had_happened(names):
    """Five outcomes are played from the record."""
    whole = Logged(open_engine(limited(names)))
    done = loop(whole).run()
    again = Logged(open_engine(limited(names)))
    loop(again, {one.trial.number: one for one in done[:5]}).run()
    assert again.log == whole.log


@every_engine
def test_a_limit_that_leaves_nothing_says_so(names):
    """Not without end: after so many proposals, or when a list is spent."""
    engine = open_engine(limited(names, lambda _: False))
    if names[1] in LISTING:
        assert engine.ask() is None
        return
    with pytest.raises(StudyError, match=f"at_most.*\\nReceived: the last {MOST_REFUSED} configurations"):
        engine.ask()


def test_tpe_learns_from_trials_that_it_is_told():
    """Told of twelve good low rates, it proposes low ones from its first trial on, the same each time."""
    earlier = [({"learning_rate": 1e-4 * (1 + n / 100), "batch_size": 32}, 0.9) for n in range(12)]
    earlier += [({"learning_rate": 9e-3 - n / 1e5, "batch_size": 128}, 0.1) for n in range(12)]
    given = replace(assignment("optuna", "tpe", space=SMALL), earlier=earlier)
    first = [open_engine(given).ask().values for _ in range(2)]
    assert first[0] == first[1] != open_engine(assignment("optuna", "tpe", space=SMALL)).ask().values
    assert first[0]["learning_rate"] < 1e-3
