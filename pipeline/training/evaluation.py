"""Trained weights on a split: read from their file, compared with their record, and judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import StoreError
from pipeline.training.program import Model

# The smallest probability of a float32 softmax that has not sunk to zero.
TINY = float(np.finfo(np.float32).tiny)


def restored(load: Callable[[], tuple[Model, str]], weights_path: Path, weights_sha256: str = "") -> Model:
    """The model that `load` reads from a file of weights.

    Args:
        load: gives the model and the SHA-256 of its weights; whatever it raises, the file is damaged.
        weights_sha256: of the recorded weights; empty: they are not compared.

    Raises:
        StoreError: the file is damaged, of another model, or holds other weights: those are removed.
    """
    try:
        model, found = load()
    # In a damaged file a library raises whatever it happens to stumble on.
    except Exception as error:
        raise StoreError.of(
            "the weights must be as they were written.",
            error,
            f"Remove the folder {weights_path.parents[1]}, then run again: they are trained anew.",
            str(weights_path),
        ) from error
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


def losses(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """The cross-entropy of the true class of each input, (num_inputs,), in nats."""
    of_true = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(of_true, TINY)))


def mean_loss(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The mean cross-entropy of the true classes, in nats."""
    return float(losses(probabilities, labels).mean())
