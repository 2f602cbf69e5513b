"""Both splits where the model trains, and loops over batches of them inside one compiled call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from pipeline.trial import Metrics

Split = tuple[NDArray[Any], NDArray[np.int64]]
# The summed loss of a batch, float32, and how many of its images are right, int32.
Judged = tuple[Any, Any]
# The summed loss and the number of right images, first of train, then of val.
Sums = tuple[Any, Any, Any, Any]
# State, pixels, labels, which images count, and the number of the step in the epoch: the next state.
Step = Callable[[Any, Any, Any, Any, Any], tuple[Any, Judged]]
Judge = Callable[[Any, Any, Any], Judged]

# It moves no weight: any size will do.
VAL_BATCH_SIZE = 1_000


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Resident:
    """Both splits, on the device for good.

    Attributes:
        images: (num_images, height * width * channels), uint8, 0-255; or features (num_rows, num_features).
        labels: (num_images,), int32.
        val_images, val_labels: likewise, filled up with zeros to whole batches.
        num_val: how many of val's images are real.
        shape: of one input, (height, width, channels) of an image.
    """

    images: Any
    labels: Any
    val_images: Any
    val_labels: Any
    num_val: int = field(metadata={"static": True})
    shape: tuple[int, ...] = field(metadata={"static": True})

    @classmethod
    def of(cls, train: Split, val: Split) -> Resident:
        """Both splits, copied to the device."""
        num_val = len(val[1])
        missing = -num_val % min(VAL_BATCH_SIZE, num_val)
        flat, val_flat = (images.reshape(len(images), -1) for images in (train[0], val[0]))
        arrays = (
            jnp.asarray(flat),
            jnp.asarray(train[1], jnp.int32),
            jnp.asarray(np.pad(val_flat, ((0, missing), (0, 0)))),
            jnp.asarray(np.pad(val[1], (0, missing)), jnp.int32),
        )
        return cls(*arrays, num_val, train[0].shape[1:])


def train(resident: Resident, order: Any, batch_size: int, state: Any, step: Step) -> tuple[Any, Judged]:
    """The state after one epoch, its summed loss and how many images are right, each judged before its step.

    Args:
        order: indices of training images, (num_images,), int32.
        batch_size: the last batch is filled up with images that do not count.
    """
    num_images = len(order)
    num_steps = -(-num_images // batch_size)
    rows = jnp.pad(order, (0, num_steps * batch_size - num_images))

    def body(index: Any, carry: Any) -> Any:
        state, losses, hits = carry
        first = index * batch_size
        chosen = lax.dynamic_slice_in_dim(rows, first, batch_size)
        pixels, labels = (
            array.at[chosen].get(mode="promise_in_bounds") for array in (resident.images, resident.labels)
        )
        counts = first + jnp.arange(batch_size) < num_images
        state, (loss, more) = step(state, pixels, labels, counts, index)
        return state, losses + loss, hits + more

    state, losses, hits = lax.fori_loop(0, num_steps, body, (state, *nothing()))
    return state, (losses, hits)


def validate(resident: Resident, judge: Judge) -> Judged:
    """The summed loss of the images of val and how many are right; `judge` is told which images count."""
    batch_size = min(VAL_BATCH_SIZE, resident.num_val)

    def body(index: Any, sums: Judged) -> Judged:
        first = index * batch_size
        pixels, labels = (
            lax.dynamic_slice_in_dim(array, first, batch_size)
            for array in (resident.val_images, resident.val_labels)
        )
        loss, more = judge(pixels, labels, first + jnp.arange(batch_size) < resident.num_val)
        return sums[0] + loss, sums[1] + more

    losses, hits = lax.fori_loop(0, len(resident.val_labels) // batch_size, body, nothing())
    return losses, hits


def metrics(resident: Resident, sums: Sums, num_train: int) -> Metrics:
    """The means that Keras' fit reports, of what `train` gave for so many images and `validate`."""
    losses, hits, val_losses, val_hits = (np.float32(value) for value in sums)
    on_train, num_val = np.float32(num_train), np.float32(resident.num_val)
    return {
        "loss": float(losses / on_train),
        "accuracy": float(hits / on_train),
        "val_loss": float(val_losses / num_val),
        "val_accuracy": float(val_hits / num_val),
    }


def right(outputs: Any, labels: Any, counts: Any) -> Any:
    """How many of the labels (batch,) that count have the largest output (batch, num_classes)."""
    return jnp.sum((jnp.argmax(outputs, axis=1) == labels) & counts, dtype=jnp.int32)


def nothing() -> Judged:
    """What no image adds up to."""
    return jnp.float32(0), jnp.int32(0)
