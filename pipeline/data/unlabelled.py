"""Images that a trained model is asked about: arrays, pictures, folders of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.data.arrays import Images, must_be_bytes
from pipeline.data.folder import SUFFIXES, Picture, read_pictures
from pipeline.data.npz import check_images, read_header, read_npz_images, undamaged, with_channels
from pipeline.data.places import must_be_file, placed, refuse_archive
from pipeline.errors import DataError, nearest

ARRAYS = (".npy", ".npz")
WHOLE, FORM = "must be a whole .npy file of a plain array.", "Write it with numpy.save(path, images)."


def read_unlabelled(sources: Sequence[str], shape: tuple[int, ...]) -> tuple[Images, list[str]]:
    """The images of all sources, one after the other, and a name for each.

    Args:
        sources: paths of .npy or .npz files, of pictures, or of folders of pictures.
        shape: (height, width, channels) that each image must have.

    Returns:
        (num_images, height, width, channels), uint8, 0-255; (num_images,) names.

    Raises:
        DataError: a source is missing, damaged, or of another shape or colour; the message names it.
    """
    parts, names = [], []
    for source in sources:
        with placed(source):
            images, found = _read(Path(source), source)
            parts.append(_of_shape(images, shape))
            names += found
    return np.concatenate(parts), names


def _read(path: Path, source: str) -> tuple[Images, list[str]]:
    if path.suffix.lower() in ARRAYS and not path.is_dir():
        images = _read_npy(path) if path.suffix.lower() == ".npy" else read_npz_images(path)
        return images, [f"{source}[{index}]" for index in range(len(images))]
    pictures = [Picture(file, str(file), "", None) for file in _files(path)]
    return read_pictures(pictures), [picture.name for picture in pictures]


def _read_npy(path: Path) -> Images:
    must_be_file(path)
    with path.open("rb") as file, undamaged("", WHOLE, FORM):
        shape, dtype = read_header(file)
        held = path.stat().st_size - file.tell()
    check_images(shape, dtype)
    promised = math.prod(shape) * dtype.itemsize
    if promised != held:
        received = f"{held:,} bytes, {promised:,} promised"
        raise DataError.of("must hold as many bytes as its header promises.", received, FORM)
    with undamaged("", WHOLE, FORM):
        values = np.load(path, allow_pickle=False)
    must_be_bytes(values)
    return with_channels(values)


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
