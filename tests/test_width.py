"""Whether the space is wide enough: which ends the best trials crowd, and where an end may go."""

from __future__ import annotations

import math

import numpy as np
import pytest
from fakes import HYPERPARAMETERS
from findings import FIXED, made
from scipy import stats

from pipeline.report import Findings
from pipeline.report.width import is_near, moved, share_near, width
from pipeline.space import Hyperparameter, Range

RATE = Range(1e-4, 1e-2, is_int=False, log=True)
LAYERS = Range(1, 3, is_int=True)
UNITS = Range(64, 512, is_int=True, step=64)
ANY = Hyperparameter(None, None)


def best_at(name: str, *values: float) -> Findings:
    """Findings whose best trials have these values."""
    findings = made(compare=FIXED, num_trials=36)
    best = findings.complete().sort_values("score", ascending=False).index[: len(values)]
    findings.trials.loc[best, name] = list(values)
    return findings


def test_a_crowded_end_is_told_with_where_to_move_it() -> None:
    """The best 3 of 24 lie in the outer tenth of the rate: 0.001 by chance, below 0.05 / 6 ends."""
    told = width(best_at("learning_rate", 0.0099, 0.0081, 0.0064))
    assert told == (
        "Of the best 3 of 24 complete trials, more lie near an end of the space than chance puts there: "
        "learning_rate near its upper end 0.01 (3 of 3), which is worth moving to 0.1."
    )


def test_two_of_three_are_chance() -> None:
    """Two of three in an outer tenth happen by chance in 28 of 1,000 draws, more than 0.05 / 6."""
    assert stats.binom.sf(1, 3, 0.1) == pytest.approx(0.028)
    told = width(best_at("learning_rate", 0.0099, 0.0081, 0.003))
    assert told.startswith("The space is wide enough, as far as the best 3 of 24 complete trials tell")


def test_an_end_that_the_learner_has_is_not_moved() -> None:
    """Dropout near 0 is told, and that there is nothing below."""
    told = width(best_at("dropout", 0.0, 0.01, 0.02))
    assert "dropout near its lower end 0 (3 of 3), beyond which there is nothing." in told


def test_trials_around_the_baseline_tell_nothing() -> None:
    """Those of one_at_a_time lie where the baseline does, at an end of the space or not."""
    findings = best_at("learning_rate", 0.0099, 0.0081, 0.0064)
    for arm in findings.study.arms:
        object.__setattr__(arm.search, "sampler", "one_at_a_time")
    assert width(findings).startswith("Changes of the baseline, each by itself, do not tell")


def test_few_trials_tell_nothing() -> None:
    """Of fewer than 10 complete trials none is said to be among the best."""
    assert width(made(compare=FIXED, num_trials=9)).startswith("6 complete trials cannot tell")


def test_of_a_loss_the_best_are_the_lowest() -> None:
    """Where less is better the trials with the highest loss crowd nothing."""
    findings = made(compare=FIXED, num_trials=36, objective='minimize = "val_loss"')
    worst = findings.complete().sort_values("score", ascending=False).index[:3]
    findings.trials.loc[worst, "learning_rate"] = 0.0099
    assert width(findings).startswith("The space is wide enough")


@pytest.mark.parametrize(
    ("values", "share"),
    [(RATE, 0.1), (LAYERS, 1 / 3), (UNITS, 1 / 8), (Range(0, 100, is_int=True), 11 / 101)],
)
def test_the_share_near_an_end_is_that_of_uniform_draws(values: Range, share: float) -> None:
    """Of numbers that cannot be counted a tenth, of others those in the outer tenth, the end at least."""
    assert share_near(values, is_upper=False) == share_near(values, is_upper=True) == pytest.approx(share)


@pytest.mark.parametrize("is_upper", [False, True])
def test_whole_numbers_on_a_log_scale_count_by_what_is_rounded_to_them(is_upper: bool) -> None:
    """The share is that of 100,000 draws as Optuna makes them: uniform on the log scale, then rounded."""
    values = Range(2, 60, is_int=True, log=True)
    logs = np.random.default_rng(1).uniform(math.log(1.5), math.log(60.5), 100_000)
    near = np.mean([is_near(values, one, is_upper) for one in np.rint(np.exp(logs))])
    assert share_near(values, is_upper) == pytest.approx(near, abs=0.005)


@pytest.mark.parametrize(
    ("name", "values", "is_upper", "goal"),
    [
        ("learning_rate", RATE, False, 1e-5),
        ("hidden_layers", LAYERS, True, 4),
        ("hidden_layers", Range(0, 3, is_int=True), False, None),
        ("hidden_units", UNITS, True, 768),
        ("dropout", Range(0.1, 0.5, is_int=False), False, 0.0),
        ("dropout", Range(0.0, 0.9, is_int=False), True, 0.95),
    ],
)
def test_an_end_moves_half_a_range_within_the_learners_bounds(name, values, is_upper, goal) -> None:
    """Half of the range further on its scale, by whole steps, never beyond what the learner takes."""
    assert moved(values, is_upper, HYPERPARAMETERS[name]) == goal


def test_of_a_model_of_ones_own_no_end_crosses_zero() -> None:
    """A learner that knows no bounds is not sent below 0; above, the end moves."""
    values = Range(0.0, 2.0, is_int=False)
    assert moved(values, is_upper=False, known=ANY) is None
    assert moved(values, is_upper=True, known=ANY) == 3.0
