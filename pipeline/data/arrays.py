"""What inputs and labels look like once they are read, checked at birth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.data.ranges import check_range
from pipeline.errors import DataError

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
SplitNames = NDArray[np.str_]

SPLITS = ("train", "val", "test")
HELD_OUT = ("val", "test")
CHANNELS = (1, 3)
MAX_BYTES = 8 * 2**30


class Kind(NamedTuple):
    """One kind of data.

    Attributes:
        noun: what one input is called, in words and in the card's keys.
        dtype: of the prepared inputs.
    """

    noun: str
    dtype: np.dtype[Any]


# By the name that its array has in a .npz file and among the prepared files.
KINDS: Mapping[str, Kind] = {
    "images": Kind("image", np.dtype(np.uint8)),
    "features": Kind("row", np.dtype(np.float32)),
    "tokens": Kind("row", np.dtype(np.int32)),
}


class Arrays(NamedTuple):
    """The inputs of one split and their labels.

    Attributes:
        inputs: images: (num_images, height, width, channels), uint8, 0-255; features: (num_rows,
            num_features), float32; tokens: (num_rows, length), int32, 0 where a row has ended.
        labels: (num_inputs,), int64, 0 to num_classes - 1.
    """

    inputs: NDArray[Any]
    labels: Labels


@dataclass(frozen=True, eq=False)
class Splits:
    """Every input in its split; label i belongs to the class named `classes[i]`; `kind` is one of KINDS."""

    train: Arrays
    val: Arrays
    test: Arrays
    classes: tuple[str, ...]
    kind: str = "images"

    def items(self) -> tuple[tuple[str, Arrays], ...]:
        """Each split's name and arrays, in the order train, val, test."""
        return (("train", self.train), ("val", self.val), ("test", self.test))


class Column(NamedTuple):
    """One column of raw features.

    Attributes:
        words: what its numbers stand for, by their place here; None: they are numbers.
        is_filled: whether what is missing (NaN) is filled in; else nothing is missing.
    """

    name: str
    words: tuple[str, ...] | None = None
    is_filled: bool = False


@dataclass(frozen=True, eq=False)
class RawData:
    """A data set as its source gives it.

    Attributes:
        inputs: images: (num_images, height, width, channels), uint8, 0-255; one channel or three. Features:
            (num_rows, num_columns), float32 or float64, as they were received. Tokens: as prepared.
        labels: (num_inputs,), int64, 0 to num_classes - 1; every class has an input.
        classes: (num_classes,) names.
        split: (num_inputs,) of "train", "val", "test" where the source gives a split, else None.
        files: (num_inputs,) names for messages where each input has one, else empty.
        columns: of features, one for each of their columns.
        size: (height, width) that the study has images brought to; None: they are as they were received.

    Raises:
        DataError: one of these does not hold; there is no input, or only one class; the pixels were never
            spread over 0-255.
    """

    inputs: NDArray[Any]
    labels: Labels
    classes: tuple[str, ...]
    split: SplitNames | None = None
    files: tuple[str, ...] = ()
    kind: str = "images"
    columns: tuple[Column, ...] = ()
    size: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind == "images":
            check_shape(self.inputs.shape)
            check_range(self.inputs)
        else:
            check_rows(self.inputs.shape, self.kind)
        check_length("labels", len(self.labels), len(self.inputs), self.noun)
        _check_labels(self.labels, self.classes, self.noun)
        if self.split is not None:
            check_length("split", len(self.split), len(self.inputs), self.noun)
            _check_split(self.split, self.noun)

    @property
    def noun(self) -> str:
        """What one input is called."""
        return KINDS[self.kind].noun

    def name_of(self, index: int) -> str:
        """What to call one input in a message: its file or row, or its place in the array."""
        return self.files[index] if self.files else f"{self.kind}[{index}]"


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


def check_rows(shape: tuple[int, ...], kind: str) -> None:
    """Raise unless this is the shape of an array of features or tokens.

    Raises:
        DataError: another number of dimensions, no row, or no column.
    """
    if len(shape) != 2:
        must = f"{kind} must be (num_rows, {'length' if kind == 'tokens' else 'num_features'})."
        raise DataError.of(must, shape, "Flatten what a row holds.")
    if 0 in shape:
        raise DataError.of("there must be rows to learn from.", f"shape {shape}", "Add rows and columns.")


def check_length(name: str, length: int, num_inputs: int, noun: str = "image") -> None:
    """Pass over an array with one entry per input.

    Raises:
        DataError: it has more entries or fewer.
    """
    if length != num_inputs:
        raise DataError.of(
            f"{name} must have one entry per {noun}.",
            f"{num_inputs} {noun}s, {length} {name}",
            f"Make both the same length; entry i belongs to {noun} i.",
        )


def _check_labels(labels: Labels, classes: tuple[str, ...], noun: str) -> None:
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
            f"every class must have {'an' if noun == 'image' else 'a'} {noun}.",
            f"class '{classes[missing[0]]}' has none",
            f"Add {noun}s of it, or number the classes from 0 without gaps.",
        )
    if last < 1:
        raise DataError.of(
            "there must be two classes or more.",
            f"only class '{classes[0]}'",
            f"Add {noun}s of another class: with one there is nothing to tell apart.",
        )


def _check_split(split: SplitNames, noun: str) -> None:
    unknown = np.flatnonzero(~np.isin(split, SPLITS))
    if unknown.size:
        raise DataError.of(
            f"split must be train, val or test for each {noun}.",
            f"split[{unknown[0]}] = '{split[unknown[0]]}'",
            "Use those three spellings.",
        )
