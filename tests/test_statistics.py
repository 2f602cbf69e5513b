"""Intervals, tests and rates against references computed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.statistics import (
    ClassScores,
    Interval,
    confusion,
    interval,
    mcnemar,
    paired_interval,
    per_class,
    welch_interval,
)

BEFORE = [0.975, 0.978, 0.9774, 0.9769, 0.9781]
AFTER = [0.9832, 0.9841, 0.9838, 0.9829, 0.9845]


def test_interval_of_two_values_is_the_textbook_one() -> None:
    """For n = 2 the half-width is t(0.975, 1) = 12.7062 times half the distance."""
    found = interval([1.0, 3.0])
    assert found.mean == 2.0
    assert (found.low, found.high) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_interval_agrees_with_scipy() -> None:
    """The interval of the mean is that of scipy's one-sample t test."""
    reference = stats.ttest_1samp(BEFORE, 0).confidence_interval(0.95)
    assert interval(BEFORE).low == pytest.approx(reference.low, rel=1e-12)
    assert interval(BEFORE).high == pytest.approx(reference.high, rel=1e-12)


def test_paired_interval_agrees_with_scipy() -> None:
    """The paired interval is that of scipy's related-samples t test."""
    reference = stats.ttest_rel(AFTER, BEFORE).confidence_interval(0.95)
    found = paired_interval(AFTER, BEFORE)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), rel=1e-9)
    assert found.mean == pytest.approx(np.mean(AFTER) - np.mean(BEFORE))


def test_welch_interval_agrees_with_scipy() -> None:
    """The unpaired interval is that of scipy's t test with unequal variances, also for unequal lengths."""
    reference = stats.ttest_ind(AFTER, BEFORE[:3], equal_var=False).confidence_interval(0.95)
    found = welch_interval(AFTER, BEFORE[:3])
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), rel=1e-9)


@pytest.mark.parametrize("found", [interval([0.1] * 3), paired_interval([0.4] * 3, [0.3] * 3)])
def test_no_spread_gives_no_width(found: Interval) -> None:
    """Equal values give low = mean = high, not NaN."""
    assert found.low == found.mean == found.high == pytest.approx(0.1)


def test_welch_without_spread_gives_no_width() -> None:
    """Two constant samples differ by exactly one number."""
    assert welch_interval([0.5] * 3, [0.25] * 2) == Interval(0.25, 0.25, 0.25)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9), st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_intervals_are_ordered_numbers(a: list[float], b: list[float]) -> None:
    """Whatever the scores, low <= mean <= high and none is NaN."""
    for found in (interval(a), interval(b), welch_interval(a, b)):
        assert found.low <= found.mean <= found.high


@pytest.mark.parametrize("values", [[], [0.5], [0.5, float("nan")], [0.5, float("inf")]])
def test_too_little_is_refused(values: list[float]) -> None:
    """No interval is made of fewer than 2 finite numbers."""
    with pytest.raises(ValueError, match="at least 2 finite numbers"):
        interval(values)


def test_half_pairs_are_refused() -> None:
    """A value without its partner is an error, not dropped."""
    with pytest.raises(ValueError, match="pairs must be whole"):
        paired_interval([1.0, 2.0, 3.0], [1.0, 2.0])


@pytest.mark.parametrize(
    ("ends", "resolved"),
    [((0.1, 0.3), True), ((-0.3, -0.1), True), ((-0.1, 0.3), False), ((0.0, 0.2), False)],
)
def test_a_difference_is_resolved_when_0_lies_outside(ends: tuple[float, float], resolved: bool) -> None:
    """An interval that touches 0 resolves nothing."""
    assert Interval(0.1, *ends).is_resolved is resolved


def test_interval_becomes_json() -> None:
    """as_dict gives the three numbers under their names."""
    assert Interval(0.2, 0.1, 0.3).as_dict() == {"mean": 0.2, "low": 0.1, "high": 0.3}


def test_mcnemar_counts_and_tests_exactly() -> None:
    """9 images right with a alone and 1 with b alone: p = 2 (1 + 10) / 2**10 by hand."""
    labels = np.zeros(20, dtype=np.int64)
    a, b = labels.copy(), labels.copy()
    b[:9], a[9] = 1, 1
    found = mcnemar(labels, a, b)
    assert (found.only_a_right, found.only_b_right) == (9, 1)
    assert found.p_value == pytest.approx(22 / 1024)


def test_mcnemar_without_disagreement_says_nothing() -> None:
    """Models that err on the same images have p = 1, also when they err differently."""
    labels = np.array([0, 1, 2])
    assert mcnemar(labels, np.array([0, 1, 0]), np.array([0, 1, 1])).p_value == 1.0


def test_confusion_is_true_by_predicted() -> None:
    """The first axis is the truth, the second the prediction; an absent class keeps its row."""
    found = confusion(np.array([0, 0, 1, 1, 1]), np.array([0, 1, 1, 1, 0]), 3)
    assert found.dtype == np.int64
    assert found.tolist() == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]


@pytest.mark.parametrize("predicted", [[0, 3], [0, -1], [0]])
def test_confusion_refuses_what_does_not_fit(predicted: list[int]) -> None:
    """A class out of range or a missing prediction would be counted in a wrong cell."""
    with pytest.raises(ValueError, match="Received"):
        confusion(np.array([0, 1]), np.array(predicted), 3)


def test_per_class_rates_by_hand() -> None:
    """Precision divides by the column, recall by the row; the interval is over repeats."""
    rows = per_class([np.array([[8, 2], [1, 9]]), np.array([[9, 1], [0, 10]])])
    assert rows[0].support == 10
    assert rows[0].recall == interval([0.8, 0.9])
    assert rows[0].precision == interval([8 / 9, 9 / 9])
    assert rows[1].precision.mean == pytest.approx((9 / 11 + 10 / 11) / 2)


def test_per_class_of_nothing_is_0() -> None:
    """A class never seen and never predicted has rates of 0, not NaN."""
    rows = per_class([np.array([[5, 0], [0, 0]])] * 2)
    assert rows[1] == ClassScores(1, Interval(0, 0, 0), Interval(0, 0, 0), 0)
