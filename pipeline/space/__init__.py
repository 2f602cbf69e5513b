"""Which values each hyperparameter may take: what is known of each, and what a study searches."""

from pipeline.space.entries import dimension
from pipeline.space.known import Configuration, Hyperparameter, Value, defaults
from pipeline.space.values import Choice, Dimension, Parent, Range, Space

__all__ = [
    "Choice",
    "Configuration",
    "Dimension",
    "Hyperparameter",
    "Parent",
    "Range",
    "Space",
    "Value",
    "defaults",
    "dimension",
]
