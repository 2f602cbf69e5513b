"""The fast way to train on JAX: one epoch, its steps and its validation, is one compiled call."""

from pipeline.training.compiled_jax.program import Compiled

__all__ = ["Compiled"]
