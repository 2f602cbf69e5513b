"""Both splits where the model trains, and a loop over batches of them inside one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.trial import Metrics

Split = tuple[NDArray[Any], NDArray[np.int64]]
# The summed loss of a batch, float32, and how many of its images are right, int64.
Judged = tuple[Any, Any]
# The summed loss and the number of right images, first of train, then of val.
Sums = tuple[Any, Any, Any, Any]
Judge = Callable[[Any, Any], Judged]
Step = Callable[[Any, Any, Any], Judged]

# It moves no weight: any size will do.
VAL_BATCH_SIZE = 1_000
WORD = 8


@dataclass(frozen=True)
class Resident:
    """Both splits, on the device for good.

    Attributes:
        words: train images, eight pixels in each int64, (num_images, num_words); or features as they are.
        labels: (num_images,), int64.
        val_images: (num_images, height, width, channels), uint8, 0-255; or features as they are.
        val_labels: likewise.
    """

    words: Any
    labels: Any
    val_images: Any
    val_labels: Any

    @classmethod
    def of(cls, train: Split, val: Split) -> Resident:
        """Both splits, copied to the device."""
        words = _words(train[0]) if train[0].dtype == np.uint8 else train[0]
        return cls(tf.constant(words), *(tf.constant(array) for array in (train[1], *val)))

    def pixels(self, rows: Any) -> Any:
        """Train inputs by their indices (batch,), images as (batch, height, width, channels), uint8."""
        if self.val_images.dtype != tf.uint8:
            return tf.gather(self.words, rows)
        shape = self.val_images.shape[1:]
        size = shape.num_elements()
        words = tf.gather(self.words, rows)
        flat = tf.reshape(tf.bitcast(words, tf.uint8), (-1, words.shape[1] * WORD))
        return tf.reshape(flat if flat.shape[1] == size else flat[:, :size], (-1, *shape))


def _words(images: NDArray[np.uint8]) -> NDArray[np.int64]:
    # A GPU can gather words of eight bytes, but not bytes.
    flat = images.reshape(len(images), -1)
    return np.pad(flat, ((0, 0), (0, -flat.shape[1] % WORD))).view(np.int64)


def train(resident: Resident, order: Any, batch_size: Any, step: Step) -> Judged:
    """The summed loss of one epoch's images and how many are right, each judged before the step it is in.

    Args:
        order: a permutation of the training images, (num_images,), int64.
        batch_size: scalar, int32; the last batch may be smaller.
        step: pixels (batch, height, width, channels), labels (batch,) and the number of the step in the epoch
            to what the batch gave before its update.
    """
    labels = tf.gather(resident.labels, order)

    def trained(first: Any, count: Any) -> Judged:
        rows, true = (tf.slice(array, [first], [count]) for array in (order, labels))
        return step(resident.pixels(rows), true, first // batch_size)

    return _sums(trained, tf.size(order), batch_size)


def validate(resident: Resident, judge: Judge) -> Judged:
    """The summed loss of the images of val and how many are right."""

    def judged(first: Any, count: Any) -> Judged:
        return judge(resident.val_images[first : first + count], resident.val_labels[first : first + count])

    return _sums(judged, tf.size(resident.val_labels), tf.constant(VAL_BATCH_SIZE))


def metrics(resident: Resident, sums: Sums, num_train: int) -> Metrics:
    """The means that Keras' fit reports, of what `train` gave for so many images and `validate`."""
    losses, hits, val_losses, val_hits = (np.float32(value) for value in sums)
    on_train, num_val = np.float32(num_train), np.float32(len(resident.val_labels))
    return {
        "loss": float(losses / on_train),
        "accuracy": float(hits / on_train),
        "val_loss": float(val_losses / num_val),
        "val_accuracy": float(val_hits / num_val),
    }


def right(outputs: Any, labels: Any) -> Any:
    """How many of the labels (batch,) have the largest output (batch, num_classes); int64."""
    # Not int32: a GPU hands those to the processor, and waits.
    return tf.reduce_sum(tf.cast(tf.argmax(outputs, axis=1) == labels, tf.int64))


def _sums(judged: Callable[[Any, Any], Judged], num_images: Any, batch_size: Any) -> Judged:
    """Sums over all images of what `judged` says of the images from a first on."""

    def body(first: Any, losses: Any, hits: Any) -> tuple[Any, Any, Any]:
        loss, more = judged(first, tf.minimum(batch_size, num_images - first))
        return first + batch_size, losses + loss, hits + more

    start = (tf.constant(0), tf.constant(0.0), tf.constant(0, tf.int64))
    _, losses, hits = tf.while_loop(lambda first, *_: first < num_images, body, start)
    return losses, hits
