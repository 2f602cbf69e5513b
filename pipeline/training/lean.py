"""Keras and its backend, imported without what they take in for features that nothing here uses.

TensorFlow imports JAX for its converter to TensorFlow Lite, Keras imports scikit-learn for wrappers and
Matplotlib for plots of layers, each only where it is installed: half of the time that a start takes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.training.surroundings import backend

UNUSED = ("jax", "matplotlib", "sklearn")


@contextmanager
def without(names: tuple[str, ...]) -> Iterator[None]:
    """These packages look as if they were not installed, but for those that are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # the import system takes it for: not there
    try:
        yield
    finally:
        # Whoever asks for one later, as a user's own model may, gets it.
        for name in hidden:
            del sys.modules[name]


with without(tuple(name for name in UNUSED if name != backend())):
    import keras

__all__ = ["keras"]
