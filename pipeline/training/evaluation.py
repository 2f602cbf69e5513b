"""Trained weights on a split: what a served model would answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.space import Configuration
from pipeline.training.fit import sha256
from pipeline.training.framework import set_up
from pipeline.training.lean import keras
from pipeline.training.program import Builder, Shape
from pipeline.training.surroundings import THREADS

# The smallest probability of a float32 softmax that has not sunk to zero.
TINY = float(np.finfo(np.float32).tiny)


def untrained(builder: Builder, configuration: Configuration, shape: Shape, num_classes: int) -> keras.Model:
    """The configuration's model, in a process that is set up as those that train are."""
    set_up(THREADS)
    return builder.build(configuration, shape, num_classes, lambda _: 1)


def restore(model: keras.Model, weights_path: Path, weights_sha256: str = "") -> keras.Model:
    """The model with the weights of a `.weights.h5` file.

    Args:
        weights_sha256: of the recorded weights, as `fit.sha256` makes it; empty: they are not compared.

    Raises:
        StoreError: the file is damaged, of another model, or holds other weights: those are removed.
    """
    try:
        keras.Model(model.inputs, model.outputs).load_weights(weights_path)
    # In a damaged file Keras and its HDF5 library raise whatever they happen to stumble on.
    except Exception as error:
        raise StoreError.of(
            "the weights must be as they were written.",
            error,
            f"Remove the folder {weights_path.parents[1]}, then run again: they are trained anew.",
            str(weights_path),
        ) from error
    found = sha256(model.get_weights())
    if weights_sha256 and found != weights_sha256:
        # What is gone is trained again; what is wrong would be met again and again.
        weights_path.unlink()
        raise StoreError.of(
            "the weights must be those that were recorded.",
            f"others, with the SHA-256 {found[:12]} for {weights_sha256[:12]}; the file is removed now",
            "Run again: they are trained anew from their record.",
            str(weights_path),
        )
    return model


def mean_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The mean cross-entropy of the true classes, in nats."""
    of_true = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_true, TINY)).mean())
