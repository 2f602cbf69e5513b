"""What a trained model is asked about: arrays, pictures, folders of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import Column, Images
from pipeline.data.encoding import Encoding, Features, encode
from pipeline.data.folder import SUFFIXES, Picture, read_pictures
from pipeline.data.npz import (
    check_inputs,
    check_values,
    read_header,
    read_npz_inputs,
    undamaged,
    with_channels,
)
from pipeline.data.places import must_be_file, placed, refuse_archive
from pipeline.data.table import read_csv_rows
from pipeline.errors import DataError, nearest

ARRAYS = (".npy", ".npz")
WHOLE, FORM = "must be a whole .npy file of a plain array.", "Write it with numpy.save(path, images)."


def read_unlabelled(
    sources: Sequence[str], shape: tuple[int, ...], is_resized: bool = False
) -> tuple[Images, list[str]]:
    """The images of all sources, one after the other, and a name for each.

    Args:
        sources: paths of .npy or .npz files, of pictures, or of folders of pictures.
        shape: (height, width, channels) that each image must have.
        is_resized: pictures of another size are brought to that one, as those that were learnt from.

    Returns:
        (num_images, height, width, channels), uint8, 0-255; (num_images,) names.

    Raises:
        DataError: a source is missing, damaged, or of another shape or colour; the message names it.
    """
    parts, names = [], []
    for source in sources:
        with placed(source):
            images, found = _read(Path(source), source, shape[:2] if is_resized else None)
            parts.append(_of_shape(images, shape))
            names += found
    return np.concatenate(parts), names


def read_rows(sources: Sequence[str], encoding: Encoding) -> tuple[Features, list[str]]:
    """The rows of all sources, one after the other, encoded as the model learnt them, and a name for each.

    Args:
        sources: paths of .csv, .npy or .npz files.
        encoding: of the card of the data that the model learnt.

    Returns:
        (num_rows, num_features), float32; (num_rows,) names.

    Raises:
        DataError: a source is missing, damaged, or of other columns; the message names it.
    """
    parts, names = [], []
    for source in sources:
        with placed(source):
            path = Path(source)
            if path.suffix.lower() == ".csv":
                rows, columns, lines = read_csv_rows(path, encoding)
                names += [f"{source} {line}" for line in lines]
            else:
                rows = _read_array(path, "features", (".csv", *ARRAYS))
                columns = _columns(rows.shape[1], encoding)
                names += [f"{source}[{index}]" for index in range(len(rows))]
            parts.append(encode(rows, columns, encoding))
    return np.concatenate(parts), names


def read_tokens(sources: Sequence[str], length: int, vocabulary: int) -> tuple[NDArray[Any], list[str]]:
    """The rows of all sources, one after the other, (num_rows, length), int32, and a name for each.

    Args:
        sources: paths of .npy or .npz files.
        vocabulary: all tokens must be below.

    Raises:
        DataError: a source is missing, damaged, of another length, or has tokens that were not learnt.
    """
    parts, names = [], []
    for source in sources:
        with placed(source):
            rows = _read_array(Path(source), "tokens")
            if rows.shape[1] != length:
                must = f"must have {length} tokens a row, as the model learnt them."
                raise DataError.of(must, f"{rows.shape[1]}", "Pad with 0 at the end, or cut.")
            if rows.max() >= vocabulary:
                must = f"tokens must be below {vocabulary:,}, as the model learnt them."
                raise DataError.of(must, f"{rows.max()}", "Number them as for training.")
            parts.append(rows)
            names += [f"{source}[{index}]" for index in range(len(rows))]
    return np.concatenate(parts), names


def _columns(num_columns: int, encoding: Encoding) -> list[Column]:
    """The columns of an array of features, which has no names: all of an encoding, in its order."""
    if num_columns != len(encoding):
        must = f"must have {len(encoding)} columns, as the model learnt them."
        raise DataError.of(must, f"{num_columns} columns", "Give every column, in the same order.")
    if words := [one["name"] for one in encoding if "words" in one]:
        must, advice = "must have columns of numbers alone.", "Write a .csv file with a line of column names."
        raise DataError.of(must, f"features, and words in {', '.join(words)}", advice)
    return [Column(one["name"]) for one in encoding]


def _read(path: Path, source: str, size: Sequence[int] | None) -> tuple[Images, list[str]]:
    if path.suffix.lower() in ARRAYS and not path.is_dir():
        images = _read_array(path, "images")
        return images, [f"{source}[{index}]" for index in range(len(images))]
    pictures = [Picture(file, str(file), "", None) for file in _files(path)]
    return read_pictures(pictures, size), [picture.name for picture in pictures]


def _read_array(path: Path, kind: str, known: tuple[str, ...] = ARRAYS) -> NDArray[Any]:
    must_be_file(path)
    suffix = path.suffix.lower()
    if suffix not in ARRAYS:
        raise DataError.of(f"must be one of {', '.join(known)}.", path.name, nearest(suffix, known))
    return _read_npy(path, kind) if suffix == ".npy" else read_npz_inputs(path, kind)


def _read_npy(path: Path, kind: str) -> NDArray[Any]:
    form = FORM.replace("images", kind)
    with path.open("rb") as file, undamaged("", WHOLE, form):
        shape, dtype = read_header(file)
        held = path.stat().st_size - file.tell()
    check_inputs(shape, dtype, kind)
    promised = math.prod(shape) * dtype.itemsize
    if promised != held:
        received = f"{held:,} bytes, {promised:,} promised"
        raise DataError.of("must hold as many bytes as its header promises.", received, form)
    with undamaged("", WHOLE, form):
        values: NDArray[Any] = np.load(path, allow_pickle=False)
    check_values({kind: values}, kind)
    return with_channels(values) if kind == "images" else values


def _files(path: Path) -> list[Path]:
    """The picture itself, or those of a folder by name; what begins with a dot is passed over."""
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if not file.name.startswith("."))
        if not files:
            raise DataError.of("must hold images.", "an empty folder", "Name another folder.")
    else:
        must_be_file(path)
        refuse_archive(path)
        files = [path]
    for file in files:
        if file.suffix.lower() not in SUFFIXES or not file.is_file():
            advice = nearest(file.suffix, [*SUFFIXES, *(ARRAYS if file == path else ())])
            raise DataError.of("must be an image file.", file.name, advice)
    return files


def _of_shape(images: Images, shape: tuple[int, ...]) -> Images:
    if images.shape[1:3] == shape[:2] and (images.shape[3], shape[2]) == (1, 3):
        # As a grayscale picture among coloured ones was learnt from.
        return np.repeat(images, 3, axis=3)
    if images.shape[1:] != shape:
        received = " x ".join(map(str, images.shape[1:]))
        must = f"must be {' x '.join(map(str, shape))} (height, width, channels), as the model learnt them."
        raise DataError.of(must, received, "Bring the images to that size, and to grayscale for one channel.")
    return images
