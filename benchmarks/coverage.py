"""How often the interval of a test result covers the truth, and how often it claims a gain that is none.

Run     python -m benchmarks.coverage [--studies 2000]
Prints  for each made-up world, of so many studies in it, the share whose interval of winner minus baseline
        holds the true difference, and of as many without a difference the share that claims a gain;
        95 % and at most 2.5 % are meant.

A world has images of unequal difficulty, which both models share, seeds that make a model better or worse on
all images alike, and chance in each answer: a probit model, in which the true accuracies are known exactly.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy.stats import norm

from pipeline.statistics import crossed_interval

ACCURACY, GAIN = 0.95, 0.01
REPEATS, IMAGES = (3, 5, 10), (200, 1_000, 10_000)


class World(NamedTuple):
    """Deviations on the probit scale: of seeds, and of images; each answer's own chance has 1."""

    seeds: float
    images: float


WORLDS = {"images alone": World(0.0, 1.0), "both": World(0.05, 1.0), "strong seeds": World(0.2, 1.0)}


def answers(
    world: World, accuracy: float, easy: np.ndarray, repeats: int, chance: np.random.Generator
) -> np.ndarray:
    """Which answers are right, (repeats, num_images), of a model with this true accuracy."""
    level = norm.ppf(accuracy) * np.sqrt(1 + world.seeds**2 + world.images**2)
    seeds = chance.normal(0, world.seeds, (repeats, 1))
    return np.asarray(level + seeds + easy + chance.normal(0, 1, (repeats, len(easy))) > 0, np.float64)


def shares(world: World, repeats: int, images: int, num_studies: int) -> tuple[float, float]:
    """The share of intervals that hold the true gain, and of claims where there is none."""
    chance = np.random.default_rng([repeats, images, num_studies])
    held = claimed = 0
    for _ in range(num_studies):
        easy = chance.normal(0, world.images, images)
        drawn = [answers(world, one, easy, repeats, chance) for one in (ACCURACY + GAIN, ACCURACY, ACCURACY)]
        better, plain, equal = drawn
        found = crossed_interval(better, plain)
        held += found.low <= GAIN <= found.high
        claimed += crossed_interval(equal, plain).low > 0
    return held / num_studies, claimed / num_studies


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2_000)
    given = parser.parse_args()
    print("| world | repeats | test images | covers | claims without a gain |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for (name, world), repeats, images in product(WORLDS.items(), REPEATS, IMAGES):
        held, claimed = shares(world, repeats, images, given.studies)
        print(f"| {name} | {repeats} | {images:,} | {100 * held:.1f} % | {100 * claimed:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
