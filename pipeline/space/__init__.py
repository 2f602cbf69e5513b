"""Which values each hyperparameter may take: what is known of each, and what a study searches."""

from pipeline.space.entries import dimension
from pipeline.space.known import DEFAULTS, HYPERPARAMETERS, Configuration, Hyperparameter, Value
from pipeline.space.values import Choice, Dimension, Parent, Range, Space

__all__ = [
    "DEFAULTS",
    "HYPERPARAMETERS",
    "Choice",
    "Configuration",
    "Dimension",
    "Hyperparameter",
    "Parent",
    "Range",
    "Space",
    "Value",
    "dimension",
]
