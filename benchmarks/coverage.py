"""How often the interval of a test result covers the truth, and how often it claims a gain that is none.

Run     python -m benchmarks.coverage [--studies 2000]
Prints  for each made-up world, of so many studies in it, the share whose interval of winner minus baseline
        holds the true difference, and of as many without a difference the share that claims a gain; 95 %
        and at most 2.5 % are meant. As in confirm the best of 3 candidates on val is trained on a second
        set of seeds, and those models are tested; the last column is of the models that were chosen.

A world has images of unequal difficulty, which all models share, seeds that make a model better or worse on
all images alike, and chance in each answer: a probit model, in which the true accuracies are known exactly.
All candidates of a study are equally good, so that whatever chooses among them chooses by chance alone.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from pipeline.statistics import Interval, crossed_interval

ACCURACY, GAIN = 0.95, 0.01
REPEATS, IMAGES = (3, 5, 10), (200, 1_000, 10_000)
TOP, VAL_IMAGES = 3, 1_000


class World(NamedTuple):
    """Deviations on the probit scale: of seeds, and of images; each answer's own chance has 1."""

    seeds: float
    images: float


WORLDS = {"images alone": World(0.0, 1.0), "both": World(0.05, 1.0), "strong seeds": World(0.2, 1.0)}


class Models:
    """The repeats of one configuration: what the seed of each does to it stays, whatever it is asked."""

    def __init__(self, world: World, accuracy: float, repeats: int, chance: np.random.Generator) -> None:
        level = norm.ppf(accuracy) * np.sqrt(1 + world.seeds**2 + world.images**2)
        self._levels = level + chance.normal(0, world.seeds, (repeats, 1))
        self._chance = chance

    def answers(self, easy: np.ndarray) -> np.ndarray:
        """Which answers are right, (repeats, num_images), on images that are so easy."""
        own = self._chance.standard_normal((len(self._levels), len(easy)))
        return np.asarray(self._levels + easy + own > 0, np.float64)


def gains(
    world: World, accuracy: float, repeats: int, images: int, chance: np.random.Generator
) -> tuple[Interval, Interval]:
    """The gain that one study finds, by the winner's second set of seeds, and by the set that chose it.

    Args:
        accuracy: of every candidate; the baseline's is `ACCURACY`.
    """
    on_val, on_test = (chance.normal(0, world.images, number) for number in (VAL_IMAGES, images))
    candidates = [Models(world, accuracy, repeats, chance) for _ in range(TOP)]
    chosen = max(candidates, key=lambda one: float(one.answers(on_val).mean()))
    plain = Models(world, ACCURACY, repeats, chance).answers(on_test)
    again = Models(world, accuracy, repeats, chance)
    fresh, same = (crossed_interval(one.answers(on_test), plain) for one in (again, chosen))
    return fresh, same


def shares(world: World, repeats: int, images: int, num_studies: int) -> tuple[float, float, float]:
    """The share of intervals that hold the true gain; of claims without one, retrained and as chosen."""
    chance = np.random.default_rng([repeats, images, num_studies])
    held = claimed = as_chosen = 0
    for _ in range(num_studies):
        found, _ = gains(world, ACCURACY + GAIN, repeats, images, chance)
        held += found.low <= GAIN <= found.high
        fresh, same = gains(world, ACCURACY, repeats, images, chance)
        claimed, as_chosen = claimed + (fresh.low > 0), as_chosen + (same.low > 0)
    return held / num_studies, claimed / num_studies, as_chosen / num_studies


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2_000)
    given = parser.parse_args()
    print("| world | repeats | test images | covers | claims without a gain | the same, tested as chosen |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for (name, world), repeats, images in product(WORLDS.items(), REPEATS, IMAGES):
        found = shares(world, repeats, images, given.studies)
        cells = " | ".join(f"{100 * share:.1f} %" for share in found)
        print(f"| {name} | {repeats} | {images:,} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
