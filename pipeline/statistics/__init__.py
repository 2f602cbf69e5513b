"""Numbers with their uncertainty: intervals over seeds and inputs, two models, classes, resolution."""

from pipeline.statistics.answers import ClassScores, McNemar, confusion, mcnemar, per_class, per_input
from pipeline.statistics.improvement import improvement
from pipeline.statistics.intervals import (
    Components,
    Interval,
    crossed_interval,
    interval,
    median_place,
    paired_interval,
    shares_interval,
    welch_interval,
)
from pipeline.statistics.resolution import MOST_SEEDS, Resolution, resolution, seeds_for, smallest_difference

__all__ = [
    "MOST_SEEDS",
    "ClassScores",
    "Components",
    "Interval",
    "McNemar",
    "Resolution",
    "confusion",
    "crossed_interval",
    "improvement",
    "interval",
    "mcnemar",
    "median_place",
    "paired_interval",
    "per_class",
    "per_input",
    "resolution",
    "seeds_for",
    "shares_interval",
    "smallest_difference",
    "welch_interval",
]
