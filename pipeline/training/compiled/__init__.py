"""The fast way to train: one epoch, its steps and its validation, is one compiled call."""

from pipeline.training.compiled.program import Compiled

__all__ = ["Compiled"]
