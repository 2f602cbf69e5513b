"""A person's own arrays in one .npz file, believed only after its headers agree with its real size."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import (
    MAX_BYTES,
    Images,
    Labels,
    RawImages,
    SplitNames,
    check_length,
    check_shape,
    must_be_bytes,
)
from pipeline.data.places import must_be_file, refuse_archive
from pipeline.errors import DataError, nearest

REQUIRED = ("images", "labels")
OPTIONAL = ("split",)
NUMBERS = "biuf"
# Above this size a member may be at most so many times larger than what is packed.
UNPACKED_FREELY = 256 * 2**20
MAX_RATIO = 100
WHOLE = "must be a whole .npz archive of plain arrays."
FORM = "Write the file with numpy.savez(path, images=images, labels=labels)."


@dataclass(frozen=True)
class Member:
    """What the header of one array claims, and what the archive says of its size."""

    info: zipfile.ZipInfo
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    header_bytes: int

    @property
    def num_bytes(self) -> int:
        """The bytes of memory that the header claims."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_npz(path: Path) -> RawImages:
    """The arrays images, labels and, where given, split.

    images: (num_images, height, width) or (num_images, height, width, channels), uint8, 0-255.
    labels: (num_images,), integers, 0 to num_classes - 1.
    split: (num_images,), text, "train", "val" or "test".

    Raises:
        DataError: the archive is damaged, larger than it should be, or holds something else. No array is
            read before the headers of all are found to agree with their sizes; nothing is unpickled.
    """
    arrays = _arrays(path, REQUIRED)
    images = with_channels(arrays["images"])
    labels, classes = _labels(arrays["labels"], len(images))
    return RawImages(images, labels, classes, _split(arrays.get("split")))


def check_npz(path: Path) -> None:
    """Pass over an archive whose headers are those of one that `read_npz` takes.

    Raises:
        DataError: see `read_npz`.
    """
    with _members(path, REQUIRED):
        pass


def read_npz_images(path: Path) -> Images:
    """The array images of an archive as `read_npz` takes it, which may lack the labels.

    Raises:
        DataError: see `read_npz`.
    """
    return with_channels(_arrays(path, ("images",))["images"])


def with_channels(images: Images) -> Images:
    """Images of three dimensions with a fourth, of one channel; in row order."""
    return np.ascontiguousarray(images if images.ndim == 4 else images[..., None])


def _arrays(path: Path, required: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    with _members(path, required) as (archive, members):
        arrays = {name: _array(archive, member) for name, member in members.items()}
        must_be_bytes(arrays["images"])
        return arrays


@contextmanager
def _members(path: Path, required: tuple[str, ...]) -> Iterator[tuple[zipfile.ZipFile, dict[str, Member]]]:
    """The opened archive and its arrays' headers, found to agree with their sizes."""
    must_be_file(path)
    refuse_archive(path)
    with path.open("rb") as file:
        with undamaged():
            archive = zipfile.ZipFile(file)
        with archive:
            members = {name: _member(archive, name) for name in _names(archive, required)}
            _check_sizes(members, path.stat().st_size)
            _check_types(members)
            yield archive, members


@contextmanager
def undamaged(name: str = "", must: str = WHOLE, advice: str = FORM) -> Iterator[None]:
    """Turn whatever is thrown at damaged bytes into a DataError."""
    try:
        with warnings.catch_warnings():
            # What NumPy remarks about an odd header helps nobody: it is taken or refused.
            warnings.simplefilter("ignore")
            yield
    # In damaged bytes zipfile, zlib and NumPy raise whatever they happen to stumble on.
    except Exception as error:
        raise DataError.of(must, str(error).rstrip(".") or type(error).__name__, advice, name) from error


def _names(archive: zipfile.ZipFile, required: tuple[str, ...]) -> list[str]:
    present = [name.removesuffix(".npy") for name in archive.namelist()]
    known = (*REQUIRED, *OPTIONAL)
    for name in present:
        if name not in known or present.count(name) > 1:
            advice = f"{nearest(name, known)} {FORM}"
            raise DataError.of("must hold images, labels and perhaps split, each once.", repr(name), advice)
    for name in required:
        if name not in present:
            raise DataError.of(f"must hold the array {name}.", ", ".join(present) or "an empty archive", FORM)
    return [name for name in known if name in present]


def _member(archive: zipfile.ZipFile, name: str) -> Member:
    with undamaged(name):
        info = archive.getinfo(f"{name}.npy")
        with archive.open(info) as stream:
            shape, dtype = read_header(stream)
            return Member(info, shape, dtype, stream.tell())


def read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and the type that the header of a .npy file claims.

    Raises:
        ValueError, and whatever NumPy stumbles on: it is no header of version 1.0.
    """
    # Later versions allow a header of gigabytes, and no array that we take needs them.
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("not version 1.0 of the .npy format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if any(size < 0 for size in shape):
        raise ValueError(f"shape {shape}")
    return shape, dtype


def _check_sizes(members: Mapping[str, Member], file_bytes: int) -> None:
    for name, member in members.items():
        held = member.info.file_size - member.header_bytes
        if member.dtype.hasobject:
            received = f"dtype {member.dtype}"
            raise DataError.of("must not hold Python objects: they are pickled.", received, FORM, name)
        if member.num_bytes != held:
            raise DataError.of(
                "must hold as many bytes as its header promises.",
                f"{held:,} bytes, {member.num_bytes:,} promised",
                FORM,
                name,
            )
        packed = max(1, min(member.info.compress_size, file_bytes))
        if member.num_bytes > UNPACKED_FREELY and member.num_bytes > MAX_RATIO * packed:
            raise DataError.of(
                f"must not unpack to more than {MAX_RATIO} times its size.",
                f"{packed:,} bytes that claim to be {member.num_bytes:,}",
                "If they really are, write the file without compression: numpy.savez.",
                name,
            )
    total = sum(member.num_bytes for member in members.values())
    if total > MAX_BYTES:
        raise DataError.of(
            f"must hold at most {MAX_BYTES:,} bytes.", f"{total:,} bytes", "Use fewer or smaller images."
        )


def _check_types(members: Mapping[str, Member]) -> None:
    for name, kinds, what in (("labels", "iu", "whole numbers"), ("split", "U", "text")):
        if name in members and members[name].dtype.kind not in kinds:
            received = f"dtype {members[name].dtype}"
            raise DataError.of(f"must be {what}.", received, f"Convert the array {name}.", name)
    images = members["images"]
    check_images(images.shape, images.dtype)
    for name in members.keys() - {"images"}:
        shape = members[name].shape
        if len(shape) != 1:
            raise DataError.of("must have one dimension.", f"shape {shape}", f"Flatten {name}.", name)
        check_length(name, shape[0], images.shape[0])


def check_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Pass over what the header of an array of images claims; `must_be_bytes` is for its values.

    Raises:
        DataError: no numbers, or another shape.
    """
    if dtype.kind not in NUMBERS:
        raise DataError.of("values must be uint8, 0-255.", f"dtype {dtype}", "Save numbers.", "images")
    check_shape((*shape, 1) if len(shape) == 3 else shape)


def _array(archive: zipfile.ZipFile, member: Member) -> NDArray[Any]:
    with undamaged(member.info.filename.removesuffix(".npy")), archive.open(member.info) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        # Only the read that finds the end makes zipfile compare the checksum.
        stream.read(1)
    return array


def _labels(values: NDArray[Any], num_images: int) -> tuple[Labels, tuple[str, ...]]:
    outside = np.flatnonzero((values < 0) | (values >= num_images))
    if outside.size:
        raise DataError.of(
            "labels must be 0 to k - 1 for k classes, each with an image.",
            f"labels[{outside[0]}] = {values[outside[0]]}",
            "Number the classes from 0, without gaps.",
        )
    labels = values.astype(np.int64)
    return labels, tuple(str(label) for label in range(int(labels.max()) + 1))


def _split(values: NDArray[Any] | None) -> SplitNames | None:
    if values is None:
        return None
    with undamaged("split"):
        # Bytes that are no characters are found here, where they become Python text.
        return np.array([str(value) for value in values], dtype=np.str_)
