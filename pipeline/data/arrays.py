"""What images and labels look like once they are read, checked at birth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
SplitNames = NDArray[np.str_]

SPLITS = ("train", "val", "test")
HELD_OUT = ("val", "test")
CHANNELS = (1, 3)
MAX_BYTES = 8 * 2**30


class Arrays(NamedTuple):
    """The images of one split and their labels.

    Attributes:
        images: (num_images, height, width, channels), uint8, 0-255.
        labels: (num_images,), int64, 0 to num_classes - 1.
    """

    images: Images
    labels: Labels


@dataclass(frozen=True, eq=False)
class Splits:
    """Every image in its split; label i belongs to the class named `classes[i]`."""

    train: Arrays
    val: Arrays
    test: Arrays
    classes: tuple[str, ...]

    def items(self) -> tuple[tuple[str, Arrays], ...]:
        """Each split's name and arrays, in the order train, val, test."""
        return (("train", self.train), ("val", self.val), ("test", self.test))


@dataclass(frozen=True, eq=False)
class RawImages:
    """A data set as its source gives it.

    Attributes:
        images: (num_images, height, width, channels), uint8, 0-255; one channel or three.
        labels: (num_images,), int64, 0 to num_classes - 1; every class has an image.
        classes: (num_classes,) names.
        split: (num_images,) of "train", "val", "test" where the source gives a split, else None.
        files: (num_images,) names for messages where each image is a file of its own, else empty.

    Raises:
        DataError: one of these does not hold; there is no image, or only one class; the pixels were never
            spread over 0-255.
    """

    images: Images
    labels: Labels
    classes: tuple[str, ...]
    split: SplitNames | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_shape(self.images.shape)
        check_range(self.images)
        check_length("labels", len(self.labels), len(self.images))
        _check_labels(self.labels, self.classes)
        if self.split is not None:
            check_length("split", len(self.split), len(self.images))
            _check_split(self.split)

    def name_of(self, index: int) -> str:
        """What to call one image in a message: its file, or its place in the array."""
        return self.files[index] if self.files else f"images[{index}]"


def check_shape(shape: tuple[int, ...]) -> None:
    """Pass over the shape of an image array with its channels.

    Raises:
        DataError: no image, an image without a pixel, or neither one channel nor three.
    """
    if len(shape) != 4 or shape[3] not in CHANNELS:
        raise DataError.of(
            "images must be (num_images, height, width), or (num_images, height, width, channels) with "
            "1 channel or 3.",
            shape,
            "Reshape the images; channels come last.",
        )
    if 0 in shape:
        raise DataError.of("there must be images to learn from.", f"shape {shape}", "Add images.")


def check_length(name: str, length: int, num_images: int) -> None:
    """Pass over an array with one entry per image.

    Raises:
        DataError: it has more entries or fewer.
    """
    if length != num_images:
        raise DataError.of(
            f"{name} must have one entry per image.",
            f"{num_images} images, {length} {name}",
            "Make both the same length; entry i belongs to image i.",
        )


def _check_labels(labels: Labels, classes: tuple[str, ...]) -> None:
    last = len(classes) - 1
    outside = np.flatnonzero((labels < 0) | (labels > last))
    if outside.size:
        raise DataError.of(
            f"labels must be 0 to {last}: there are {len(classes)} classes.",
            f"labels[{outside[0]}] = {labels[outside[0]]}",
            "Number the classes from 0, without gaps.",
        )
    missing = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
    if missing.size:
        raise DataError.of(
            "every class must have an image.",
            f"class '{classes[missing[0]]}' has none",
            "Add images of it, or number the classes from 0 without gaps.",
        )
    if last < 1:
        raise DataError.of(
            "there must be two classes or more.",
            f"only class '{classes[0]}'",
            "Add images of another class: with one there is nothing to tell apart.",
        )


def _check_split(split: SplitNames) -> None:
    unknown = np.flatnonzero(~np.isin(split, SPLITS))
    if unknown.size:
        raise DataError.of(
            "split must be train, val or test for each image.",
            f"split[{unknown[0]}] = '{split[unknown[0]]}'",
            "Use those three spellings.",
        )


# Bytes that end here or below were never spread over 0-255; so dark is no usual data set.
FAINT = 64
# Values of 0-16 times 255, cut to bytes, end here or above: k * 255 is 256 - k, modulo 256.
WRAPPED = 240
CHUNK_PIXELS = 2**22
MUST = "pixel values must be 0-255."
TO_BYTES = "round, then use .astype('uint8')."


def must_be_bytes(values: NDArray[Any]) -> None:
    """Pass over numbers that are uint8.

    Raises:
        DataError: they are of another type; the advice follows their range. Or some are not finite.
    """
    if values.dtype == np.uint8:
        return
    _check_finite(values)
    low, high = float(values.min()), float(values.max())
    received = f"dtype {values.dtype}, {low:.10g} to {high:.10g}"
    advice = _advice(values.dtype.kind, low, high)
    raise DataError.of("values must be uint8, 0-255.", received, advice, "images")


def check_range(images: NDArray[np.uint8]) -> None:
    """Pass over the bytes of a whole data set.

    Raises:
        DataError: they are far below 255, or look as if they had wrapped around.
    """
    high = int(images.max())
    # Bytes of zeros and ones are what remains of 0-1 floats, or a mask: scaled again, they would be black.
    if high <= 1:
        advice = "Multiply the images by 255 before they become uint8."
        raise DataError.of(MUST, f"no value above {high}", advice)
    if high <= FAINT:
        advice = f"Divide by {high}, multiply by 255, {TO_BYTES}"
        raise DataError.of(MUST, f"no value above {high}", advice)
    num_wrapped = _count_wrapped(images)
    # Two are a mask, or nearly one.
    if num_wrapped > 2:
        raise DataError.of(
            MUST,
            f"values that look wrapped: only 0 and {num_wrapped} values from {WRAPPED} to 255",
            f"Start from the values before that: divide by their maximum, multiply by 255, {TO_BYTES}",
        )


def _check_finite(values: NDArray[Any]) -> None:
    strange = ~np.isfinite(values)
    count = int(np.count_nonzero(strange))
    if count:
        place = tuple(int(index) for index in np.unravel_index(int(strange.argmax()), values.shape))
        raise DataError.of(
            "values must be finite.",
            f"{count:,} that are not, the first {float(values[place])} at {place}",
            "Replace them, or remove their images.",
            "images",
        )


def _advice(kind: str, low: float, high: float) -> str:
    """How values from `low` to `high` become bytes; whoever follows it never leaves 0-255 on the way."""
    if low >= 0 and FAINT / 255 < high <= 1:
        # Times a whole number, integers of eight bits would overflow.
        return f"Multiply by {'255.0' if kind in 'iu' else '255'}, {TO_BYTES}"
    if low >= 0 and high == 16:
        return f"Multiply by 15.9375 (255 / 16), {TO_BYTES}"
    if low >= 0 and FAINT < high <= 255:
        return "Use .astype('uint8')." if kind in "iu" else TO_BYTES.capitalize()
    if low == high:
        return "All of them are the same: save other images."
    steps = "subtract the minimum, divide by (maximum - minimum), multiply by 255"
    return f"Use .astype('float64'), {steps}, {TO_BYTES}"


def _count_wrapped(images: NDArray[np.uint8]) -> int:
    """How many different values there are beside 0 if all of them are such as wrapping leaves, else 0."""
    pixels = images.reshape(-1)
    found: set[int] = set()
    # Nearly every data set is done with after the first piece.
    for start in range(0, pixels.size, CHUNK_PIXELS):
        found.update(np.unique(pixels[start : start + CHUNK_PIXELS]).tolist())
        if any(0 < value < WRAPPED for value in found):
            return 0
    return len(found) - 1 if 0 in found else 0
