"""Where chance comes from."""

import numpy as np
import pytest

from pipeline import seeds


def test_a_stream_never_changes():
    """A seed is the same on every machine and in every version: recorded trials depend on it."""
    assert seeds.stream(20260101, "trial", 17, "init") == 1156807390


@pytest.mark.parametrize(
    ("one", "other"),
    [((1, "a", 1), (1, "a", "1")), ((1, "ab"), (1, "a", "b")), ((1, 2), (12,)), ((1, "a"), (2, "a"))],
)
def test_different_names_give_different_seeds(one, other):
    """No two paths of names run together."""
    assert seeds.stream(*one) != seeds.stream(*other)


def test_a_seed_is_never_zero_and_fits_31_bits():
    """Keras Tuner takes zero for "no seed", and TensorFlow wants 32 signed bits."""
    drawn = [seeds.stream(7, number) for number in range(2_000)]
    assert min(drawn) >= 1
    assert max(drawn) < 2**31
    assert len(set(drawn)) == len(drawn)


def test_a_generator_draws_alike_whatever_was_drawn_before():
    """Each use has a generator of its own, so no draw depends on another."""
    np.random.default_rng(1).random(5)
    first = seeds.generator(3, "split").integers(0, 1_000, 5)
    seeds.generator(3, "other").random(100)
    assert (seeds.generator(3, "split").integers(0, 1_000, 5) == first).all()
