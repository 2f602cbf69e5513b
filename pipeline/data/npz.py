"""A person's own arrays in one .npz file, believed only after its headers agree with its real size."""

from __future__ import annotations

import math
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import (
    KINDS,
    MAX_BYTES,
    Column,
    Images,
    Labels,
    RawData,
    SplitNames,
    check_length,
    check_rows,
    check_shape,
)
from pipeline.data.places import must_be_file, refuse_archive
from pipeline.data.ranges import check_finite, check_tokens, must_be_bytes
from pipeline.errors import DataError, nearest

BESIDE = ("labels", "split")
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


def read_npz(path: Path) -> RawData:
    """The arrays images, features or tokens, labels and, where given, split.

    images: (num_images, height, width) or (num_images, height, width, channels), uint8, 0-255.
    features: (num_rows, num_features), float32, finite.
    tokens: (num_rows, length), int32, from 1, then 0 to the end of the row.
    labels: (num_inputs,), integers, 0 to num_classes - 1.
    split: (num_inputs,), text, "train", "val" or "test".

    Raises:
        DataError: the archive is damaged, larger than it should be, or holds something else. No array is
            read before the headers of all are found to agree with their sizes; nothing is unpickled.
    """
    arrays = _arrays(path, ("labels",))
    kind = kind_of(arrays)
    inputs = with_channels(arrays[kind]) if kind == "images" else arrays[kind]
    labels, classes = _labels(arrays["labels"], len(inputs), KINDS[kind].noun)
    columns = tuple(map(Column, names_of(inputs.shape[1]))) if kind == "features" else ()
    return RawData(inputs, labels, classes, _split(arrays.get("split")), (), kind, columns)


def names_of(num_columns: int) -> list[str]:
    """What the columns of an array of features are called."""
    return [f"features[{index}]" for index in range(num_columns)]


def kind_of(names: Iterable[str]) -> str:
    """The kind of data that the names of an archive's arrays speak of; images where none does."""
    return next((kind for kind in KINDS if kind in names), "images")


def check_npz(path: Path) -> None:
    """Pass over an archive whose headers are those of one that `read_npz` takes.

    Raises:
        DataError: see `read_npz`.
    """
    with _members(path, ("labels",)):
        pass


def read_npz_inputs(path: Path, kind: str) -> NDArray[Any]:
    """The inputs of this kind of an archive as `read_npz` takes it, which may lack the labels.

    Raises:
        DataError: see `read_npz`; or it holds another kind.
    """
    arrays = _arrays(path, ())
    if kind not in arrays:
        raise DataError.of(f"must hold the array {kind}.", ", ".join(arrays), form(kind))
    return with_channels(arrays[kind]) if kind == "images" else arrays[kind]


def form(kind: str) -> str:
    """How an archive of this kind of data is written."""
    return FORM.replace("images", kind)


def with_channels(images: Images) -> Images:
    """Images of three dimensions with a fourth, of one channel; in row order."""
    return np.ascontiguousarray(images if images.ndim == 4 else images[..., None])


def _arrays(path: Path, required: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    with _members(path, required) as (archive, members):
        arrays = {name: _array(archive, member) for name, member in members.items()}
        check_values(arrays, kind_of(arrays))
        return arrays


def check_values(arrays: Mapping[str, NDArray[Any]], kind: str) -> None:
    """Raise unless the inputs' values are what their kind promises.

    Raises:
        DataError: images are no bytes, features are not finite; or see `check_tokens`.
    """
    if kind == "images":
        must_be_bytes(arrays[kind])
    elif kind == "tokens":
        check_tokens(arrays[kind])
    else:
        check_finite(arrays[kind], kind, KINDS[kind].noun)


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
    kind = kind_of(present)
    known = (kind, *BESIDE)
    for name in present:
        if name not in known or present.count(name) > 1:
            advice = f"{nearest(name, {*known, *KINDS})} {form(kind)}"
            raise DataError.of(f"must hold {kind}, labels and perhaps split, each once.", repr(name), advice)
    for name in (kind, *required):
        if name not in present:
            received = ", ".join(present) or "an empty archive"
            raise DataError.of(f"must hold the array {name}.", received, form(kind))
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
    kind = kind_of(members)
    inputs = members[kind]
    check_inputs(inputs.shape, inputs.dtype, kind)
    for name in members.keys() - {kind}:
        shape = members[name].shape
        if len(shape) != 1:
            raise DataError.of("must have one dimension.", f"shape {shape}", f"Flatten {name}.", name)
        check_length(name, shape[0], inputs.shape[0], KINDS[kind].noun)


def check_inputs(shape: tuple[int, ...], dtype: np.dtype[Any], kind: str) -> None:
    """Raise unless the header of an array is one of inputs; `check_values` is for its values.

    Raises:
        DataError: no numbers, or another type or shape.
    """
    if kind != "images":
        wanted = KINDS[kind].dtype
        if dtype != wanted:
            raise DataError.of(f"must be {wanted}.", f"dtype {dtype}", f"Use .astype('{wanted}').", kind)
        check_rows(shape, kind)
        return
    if dtype.kind not in NUMBERS:
        raise DataError.of("values must be uint8, 0-255.", f"dtype {dtype}", "Save numbers.", "images")
    check_shape((*shape, 1) if len(shape) == 3 else shape)


def _array(archive: zipfile.ZipFile, member: Member) -> NDArray[Any]:
    with undamaged(member.info.filename.removesuffix(".npy")), archive.open(member.info) as stream:
        array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
        # Only the read that finds the end makes zipfile compare the checksum.
        stream.read(1)
    return array


def _labels(values: NDArray[Any], num_inputs: int, noun: str) -> tuple[Labels, tuple[str, ...]]:
    outside = np.flatnonzero((values < 0) | (values >= num_inputs))
    if outside.size:
        raise DataError.of(
            f"labels must be 0 to k - 1 for k classes, each with {'an' if noun == 'image' else 'a'} {noun}.",
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
