"""Numbers with their uncertainty: intervals over seeds and inputs, two models, rates by class."""

from pipeline.statistics.answers import ClassScores, McNemar, confusion, mcnemar, per_class, per_input
from pipeline.statistics.intervals import (
    Interval,
    crossed_interval,
    interval,
    median_place,
    paired_interval,
    shares_interval,
    welch_interval,
)

__all__ = [
    "ClassScores",
    "Interval",
    "McNemar",
    "confusion",
    "crossed_interval",
    "interval",
    "mcnemar",
    "median_place",
    "paired_interval",
    "per_class",
    "per_input",
    "shares_interval",
    "welch_interval",
]
