"""Tuning curves: exact values, the band's constant, and the searches of which nothing can be told."""

from __future__ import annotations

import math

import numpy as np
import pytest
from findings import FIXED, made

from pipeline.report import Findings, markdown, tuning
from pipeline.statistics.tuning import tuning_curve

SCORES = np.linspace(0.5, 0.9, 41)


def searched(sampler: str = "random", compare: str = FIXED, **more) -> Findings:
    """Findings of a search with this sampler and these settings, without a pruner."""
    findings = made(compare=compare)
    vars(findings.study).pop("arms", None)
    search = findings.study.search.model_copy(update={"sampler": sampler, "pruner": "none", **more})
    object.__setattr__(findings.study, "search", search)
    return findings


def test_the_expected_best_is_the_mean_over_all_draws() -> None:
    """Of 1, 2, 3 the best of two draws is 22/9 on average, the best of three 8/3; the least of two 14/9."""
    most, least = (tuning_curve([1, 2, 3], one, 0, 4) for one in (True, False))
    assert most.middle == pytest.approx([2, 22 / 9, 8 / 3])
    assert least.middle == pytest.approx([2, 14 / 9, 4 / 3])


def test_the_band_is_massarts() -> None:
    """Of one trial the band's ends are the means of the distribution functions moved by sqrt(ln 40 / 2n)."""
    size = math.sqrt(math.log(40) / (2 * len(SCORES)))
    share = np.arange(len(SCORES) + 1) / len(SCORES)
    curve = tuning_curve(SCORES, True, 0.0, 1.0)
    for end, moved in ((curve.high, share - size), (curve.low, share + size)):
        steps = np.diff(np.clip(moved, 0, 1), prepend=0, append=1)
        assert end[0] == pytest.approx(steps @ [0.0, *SCORES, 1.0])


def test_the_band_holds_the_truth_at_once() -> None:
    """In at least 95 of 100 searches of 20 uniform draws the whole true curve, n / (n + 1), lies within."""
    truth = np.arange(1, 21) / np.arange(2, 22)
    source = np.random.default_rng(5)
    curves = [tuning_curve(source.random(20), True, 0.0, 1.0) for _ in range(100)]
    assert sum(bool(np.all((one.low <= truth) & (truth <= one.high))) for one in curves) >= 95


def test_a_score_without_an_end_has_a_median_curve() -> None:
    """A loss has no largest value: its median has a band, which is infinite where nothing is known."""
    curve = tuning_curve([0.1, 0.2, 0.4, 0.8], False, 0.0, math.inf)
    assert not curve.is_mean
    assert curve.middle[0] == 0.2
    assert (curve.low[-1], curve.high[0]) == (0.0, math.inf)


def test_random_search_has_a_curve_with_a_band() -> None:
    """The figure draws the middle and its band, and the report says what half of the trials would find."""
    findings = searched()
    names = [trace.name for trace in tuning.tuning(findings).drawn.data]
    assert names == [None, None, "Expected best of search"]
    [told] = tuning.sentences(findings)
    assert told.startswith("The expected best validation accuracy of random search is ")
    assert "with 8 trials (95 % band " in told
    assert " with 16 trials (" in told
    assert told in markdown(findings).replace("\\", "")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"sampler": "tpe"}, "tpe does not draw its trials independently"),
        ({"sampler": "grid"}, "grid does not draw"),
        ({"sampler": "bayesian", "engine": "keras_tuner"}, "bayesian does not draw"),
        ({"pruner": "median"}, "a pruner ended trials"),
        ({"patience": 5}, "its patience ended it"),
    ],
)
def test_any_other_search_has_its_best_so_far_alone(settings, reason) -> None:
    """Of trials that depend on each other no band is drawn, and the caption says why."""
    findings = searched(**settings)
    figure = tuning.tuning(findings)
    assert [trace.name for trace in figure.drawn.data] == ["Best so far of search"]
    assert f"of search, because {reason}" in figure.caption
    assert tuning.sentences(findings) == []


def test_given_configurations_are_no_draws() -> None:
    """What the study file starts with is left out of the curve."""
    findings = searched(start_with=[{"dropout": 0.1}, {"dropout": 0.2}])
    assert len(tuning.curve_of(findings, findings.study.arms[0]).middle) == 14


def test_without_complete_trials_nothing_is_drawn() -> None:
    """The figure then says so."""
    findings = searched()
    findings.trials["state"] = "pruned"
    assert tuning.tuning(findings).drawn is None
