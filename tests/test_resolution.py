"""What a comparison can resolve, against published sample sizes and numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pipeline.statistics import (
    MOST_SEEDS,
    Components,
    crossed_interval,
    paired_interval,
    resolution,
    seeds_for,
    smallest_difference,
)

INPUTS = Components(0.0, 1e-4, (0.0, 0.0), (0.0, 0.0), 1_000, (5, 5))


def two_groups(size: int) -> Components:
    """Two groups of so many values each, of variance 1, compared by their means; no inputs."""
    return Components(0.0, 0.0, (1 / size, 1 / size), (0.0, 0.0), math.inf, (size, size))


def drawn(num_seeds: int = 5) -> list[np.ndarray]:
    """Right and wrong answers of two models, (num_seeds, 400) each; mostly the same inputs are hard."""
    source = np.random.default_rng(3)
    shared = source.normal(1.5, 1, 400)
    easy = [shared + source.normal(0, 0.7, 400) for _ in range(2)]
    seeds = [source.normal(0, 0.2, (num_seeds, 1)) for _ in range(2)]
    return [
        np.asarray(one + luck + source.normal(0, 1, (num_seeds, 400)) > 0, np.float64)
        for one, luck in zip(easy, seeds, strict=True)
    ]


@pytest.mark.parametrize(("effect", "size"), [(0.2, 394), (0.5, 64), (0.8, 26)])
def test_cohens_sample_sizes(effect: float, size: int) -> None:
    """Cohen's small, medium and large effect need 394 (his table: 393), 64 and 26 a group."""
    assert seeds_for(two_groups(2), effect) == size
    assert smallest_difference(two_groups(size)) <= effect < smallest_difference(two_groups(size - 1))


def test_the_smallest_difference_has_its_power() -> None:
    """A t test of 5 pairs finds it in 80 of 100 samples: scipy's noncentral t says so."""
    parts = Components.paired(np.arange(5.0), np.zeros(5))
    standardised = smallest_difference(parts) / math.sqrt(parts.variance)
    critical = stats.t.ppf(0.975, 4)
    assert stats.nct.sf(critical, 4, standardised) == pytest.approx(
        0.8, abs=1e-7
    )  # as far as scipy's inverse is solved


def test_inputs_alone_set_a_limit() -> None:
    """Where no seed matters 2.80 standard errors are resolved, with any number of seeds."""
    found = resolution(INPUTS, 0.02)
    assert found.smallest == pytest.approx(found.limit) == pytest.approx(2.806 * 0.01, rel=1e-3)
    assert found.num_seeds is None
    assert seeds_for(INPUTS, 0.03) == 2


def test_components_are_what_the_interval_is_made_of() -> None:
    """Half the crossed interval is Student's quantile times the root of the components' variance."""
    answers = drawn()
    parts, found = Components.of(*answers), crossed_interval(*answers)
    half = stats.t.ppf(0.975, parts.freedom) * math.sqrt(parts.variance)
    assert (found.mean - half, found.mean + half) == (found.low, found.high)


def test_pairs_have_the_components_of_their_interval() -> None:
    """Over seeds alone the variance and the freedom are those of the paired t interval."""
    a, b = [0.9, 0.95, 0.93], [0.88, 0.9, 0.92]
    parts, found = Components.paired(a, b), paired_interval(a, b)
    assert parts.freedom == 2
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 2) * math.sqrt(parts.variance))


def test_more_seeds_leave_the_inputs() -> None:
    """Four times the seeds have a quarter of their part, infinitely many the inputs' without chance."""
    parts = Components.of(*drawn())
    more, most = parts.at(20), parts.at(math.inf)
    assert more.seeds == pytest.approx([part / 4 for part in parts.seeds])
    assert most.seeds == (0.0, 0.0)
    assert most.variance == pytest.approx(parts.inputs - sum(parts.chance))


def test_what_is_foretold_of_more_seeds_is_met_by_them() -> None:
    """The variance foretold from 5 seeds for 80 is within a third of that of 80 drawn from the same world."""
    foretold = Components.of(*drawn()).at(80).variance
    assert foretold == pytest.approx(Components.of(*drawn(80)).variance, rel=1 / 3)


def test_equal_models_are_told_apart_by_no_number_of_seeds() -> None:
    """Without a difference there is none to resolve: no number of seeds is named."""
    assert resolution(Components.paired([0.9, 0.8, 0.7], [0.8, 0.9, 0.7]), 0.0).num_seeds is None
    assert seeds_for(two_groups(2), 2.8 / math.sqrt(MOST_SEEDS)) is None
