"""Intervals, tests and rates against references computed elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.statistics import (
    Interval,
    confusion,
    crossed_interval,
    interval,
    mcnemar,
    median_place,
    paired_interval,
    per_class,
    per_input,
    shares_interval,
    welch_interval,
)
from pipeline.training.scored import OF_CLASSES

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
    """Precision divides by what was answered, recall by what is true; each in its range."""
    labels = np.repeat([0, 1], 10)
    repeats = [np.where(np.arange(20) < 8, 0, 1), np.where(np.arange(20) < 11, 0, 1)]
    first, second = per_class(labels, repeats, 2)
    assert (first.support, second.support) == (10, 10)
    assert first.recall.mean == pytest.approx((8 / 10 + 10 / 10) / 2)
    assert first.precision.mean == pytest.approx((8 / 8 + 10 / 11) / 2)
    assert second.precision.mean == pytest.approx((10 / 12 + 9 / 9) / 2)
    for rate in (first.recall, first.precision, second.recall, second.precision):
        assert 0 <= rate.low < rate.mean < rate.high <= 1


def test_per_class_of_nothing_is_0() -> None:
    """A class never seen and never predicted has rates of 0, not NaN, and nothing is known of them."""
    labels = np.zeros(5, dtype=np.int64)
    row = per_class(labels, [labels, labels], 2)[1]
    assert (row.precision.mean, row.recall.mean, row.support) == (0, 0, 0)
    assert row.recall.high > 0.8


def test_without_seeds_the_inputs_alone_count() -> None:
    """Models that no seed changes: the interval is Student's over the inputs' differences."""
    generator = np.random.default_rng(1)
    a, b = (np.tile(generator.random(50) > share, (5, 1)).astype(float) for share in (0.1, 0.3))
    assert crossed_interval(a, b).low == pytest.approx(interval(a[0] - b[0]).low)


def test_without_a_difference_between_inputs_the_seeds_alone_count() -> None:
    """Where every input gives what its seed gives, the interval is Student's over the seeds."""
    a = np.repeat(np.array(AFTER)[:, None], 1_000, axis=1)
    assert crossed_interval(a).low == pytest.approx(interval(AFTER).low)


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_noise_that_no_input_shares_leaves_the_seeds_alone(num_seeds: int) -> None:
    """Seeds and noise, inputs alike: Student's interval over the seeds, which has the noise in it already.

    The part of the inputs is known from 10,000 of them, to about 2 in 100 of itself.
    """
    generator = np.random.default_rng(num_seeds)
    a = generator.normal(0, 0.01, (num_seeds, 1)) + generator.normal(0, 1, (num_seeds, 10_000))
    found, alone = crossed_interval(a), interval(a.mean(axis=1))
    assert found.high - found.mean == pytest.approx(alone.high - alone.mean, rel=0.03)


@pytest.mark.parametrize("num_seeds", [3, 5])
def test_the_crossed_interval_covers_the_truth(num_seeds: int) -> None:
    """Of 400 made-up studies with seeds, inputs and noise, about 95 in a hundred; the seed is fixed."""
    generator = np.random.default_rng(num_seeds)

    def answers(share: float, difficulty: np.ndarray) -> np.ndarray:
        noise = generator.normal(0, 1, (num_seeds, 300)) + generator.normal(0, 0.1, (num_seeds, 1))
        return (stats.norm.ppf(share) * np.sqrt(2.01) + difficulty + noise > 0).astype(float)

    covered = 0
    for _ in range(400):
        difficulty = generator.normal(0, 1, 300)
        found = crossed_interval(answers(0.92, difficulty), answers(0.9, difficulty))
        covered += found.low <= 0.02 <= found.high
    assert 0.93 <= covered / 400 <= 0.99


@pytest.mark.parametrize(
    ("mean", "bounds"), [(1.0, "share"), (0.0, "share"), (0.995, "share"), (0.002, "positive")]
)
def test_a_crossed_interval_respects_its_range(mean: float, bounds: str) -> None:
    """A share stays in 0 to 1, a loss above 0, and neither end is the mean's unless it must be."""
    values = np.full((3, 40), mean)
    values[0, 0] += 0.0 if mean in (0.0, 1.0) else -0.002 if bounds == "share" else 0.5
    found = crossed_interval(values, bounds=bounds)
    assert 0 <= found.low <= found.mean <= found.high
    assert found.low < found.high
    assert bounds != "share" or found.high <= 1


@pytest.mark.parametrize("metric", ["accuracy", *OF_CLASSES])
def test_what_each_input_adds_has_the_metric_for_its_mean(metric: str) -> None:
    """Also where a class is never true or never answered."""
    generator = np.random.default_rng(3)
    labels, predicted = generator.integers(0, 4, 200), generator.integers(1, 6, 200)
    scores = {"accuracy": lambda a, b: np.mean(a == b), **OF_CLASSES}
    assert per_input(metric, labels, predicted).mean() == pytest.approx(scores[metric](labels, predicted))


def test_a_macro_f1_changes_as_its_linear_part_says() -> None:
    """The variance of macro F1 over other inputs is that of the mean of what each input adds."""
    generator = np.random.default_rng(4)
    labels = generator.integers(0, 3, 2_000)
    predicted = np.where(generator.random(2_000) < 0.2, generator.integers(0, 3, 2_000), labels)
    linear = per_input("macro_f1", labels, predicted).std() / np.sqrt(2_000)
    drawn = [generator.integers(0, 2_000, 2_000) for _ in range(600)]
    spread = np.std([OF_CLASSES["macro_f1"](labels[rows], predicted[rows]) for rows in drawn])
    assert spread == pytest.approx(linear, rel=0.1)


@pytest.mark.parametrize(
    ("scores", "is_maximized", "place"),
    [
        ([0.3, 0.1, 0.2], True, 2),
        ([0.3, 0.1, 0.2, 0.4], True, 2),
        ([0.3, 0.1, 0.2, 0.4], False, 0),
        ([1, 1], True, 1),
    ],
)
def test_the_median_has_a_place(scores: list[float], is_maximized: bool, place: int) -> None:
    """Of an even number the worse of the two in the middle, of equals the later."""
    assert median_place(scores, is_maximized) == place


def test_shares_of_unshared_inputs_differ_by_both_errors() -> None:
    """Of 100 inputs each, 90 % and 80 %: 0.1 and 1.96 times the root of (0.09 + 0.16) / 100."""
    found = shares_interval(0.9, 0.8, 100)
    assert (found.low, found.high) == pytest.approx((0.1 - 0.098, 0.1 + 0.098), abs=1e-4)
