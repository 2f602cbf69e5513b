"""The probability that one more run of one beats one of the other."""

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.statistics import improvement


def test_it_is_the_share_of_pairs_ties_counted_half():
    """As Mann and Whitney's U has it."""
    a, b = [3, 5, 5, 7, 8, 9], [1, 2, 5, 6, 6, 10, 11]
    found = improvement(a, b)
    assert found["mean"] == pytest.approx(stats.mannwhitneyu(a, b).statistic / 42)


@pytest.mark.parametrize("seed", range(12))
def test_its_interval_leaves_a_half_out_where_brunner_and_munzel_find_a_difference(seed):
    """Interval and test are of one variance and one freedom."""
    chance = np.random.default_rng(seed)
    a, b = chance.normal(1, 2, 9), chance.normal(0, 1, 7)
    found, p_value = improvement(a, b), stats.brunnermunzel(a, b).pvalue
    assert (p_value < 0.05) == (not found["low"] <= 0.5 <= found["high"])


def test_runs_that_never_overlap_leave_room_for_doubt():
    """Six pairs of runs would all go one way, one time in forty, at this probability."""
    found = improvement([11, 12, 13, 14, 15, 16], [1, 2, 3, 4, 5, 6])
    assert (found["mean"], found["high"]) == (1.0, 1.0)
    assert found["low"] == pytest.approx(0.025 ** (1 / 6))


def test_the_runs_that_would_tell_are_noethers():
    """Of 0.75, at 95 % and with power 0.8: (1.96 + 0.84)² / (6 · 0.25²) = 20.9."""
    found = improvement([0, 0, 0, 2, 2, 2, 2, 2, 2, 0, 2, 2], [1] * 8)
    assert found["mean"] == pytest.approx(8 / 12)
    assert found["num_runs"] == math.ceil((1.959964 + 0.841621) ** 2 / (6 * (8 / 12 - 0.5) ** 2)) == 48
    assert improvement([1] * 6, [1] * 6)["num_runs"] is None


def test_few_runs_tell_nothing():
    """Five of one are too few."""
    assert improvement([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]) is None
