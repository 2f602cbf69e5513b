"""The IDX format: a magic number, the dimensions, then the bytes; often inside gzip.

Source: Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits", 1998, "File formats".
"""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import zlib
from pathlib import Path
from typing import IO, cast

import numpy as np

from pipeline.data.arrays import Images
from pipeline.data.places import must_be_file
from pipeline.errors import DataError

GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
MAX_IDX_BYTES = 2**30
CHUNK = 2**20
REPLACE = "Replace it with a fresh copy."


def read_idx(path: Path, item_shape: tuple[int, ...]) -> Images:
    """The array in an IDX file of unsigned bytes, gzipped or not.

    Args:
        path: the file; whether it is gzipped is seen from its first bytes.
        item_shape: the shape that each item must have: (28, 28) for images, () for labels.

    Returns:
        (num_items, *item_shape), uint8.

    Raises:
        DataError: the file is not there, or its content is not what its header promises, to the byte.
    """
    must_be_file(path)
    with path.open("rb") as file, _unpacked(file) as stream:
        try:
            shape = _shape(stream, item_shape)
            content = _content(stream, shape)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError.of("must be one whole gzip file.", error, REPLACE) from error
    return np.frombuffer(content, np.uint8).reshape(shape)


def idx_sha256(array: Images) -> str:
    """The SHA-256 of the uncompressed IDX file that would hold `array`."""
    content = hashlib.sha256(_header(array.shape))
    content.update(np.ascontiguousarray(array).data)
    return content.hexdigest()


def _header(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, UNSIGNED_BYTE, len(shape), *shape)


def _unpacked(file: IO[bytes]) -> IO[bytes]:
    is_gzipped = file.read(2) == GZIP_MAGIC
    file.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=file)) if is_gzipped else file


def _shape(stream: IO[bytes], item_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that the header promises, once it is known to be one that we can take."""
    num_dimensions = len(item_shape) + 1
    expected = struct.pack(">HBB", 0, UNSIGNED_BYTE, num_dimensions)
    header = stream.read(4 + 4 * num_dimensions)
    if header[:4] != expected or len(header) != 4 + 4 * num_dimensions:
        raise DataError.of(
            f"must start with {expected.hex()}, as IDX files of {num_dimensions}-dimensional bytes do.",
            header[:4].hex() or "an empty file",
            REPLACE,
        )
    shape = struct.unpack(f">{num_dimensions}I", header[4:])
    if shape[1:] != item_shape:
        raise DataError.of(f"each image must be {_times(item_shape)}.", _times(shape[1:]), REPLACE)
    if math.prod(shape) > MAX_IDX_BYTES:
        received = f"a header that promises {math.prod(shape):,} bytes"
        raise DataError.of(f"must hold at most {MAX_IDX_BYTES:,} bytes.", received, REPLACE)
    return tuple(shape)


def _content(stream: IO[bytes], shape: tuple[int, ...]) -> bytearray:
    """As many bytes as `shape` promises, read piece by piece: memory grows with what is really there."""
    promised = math.prod(shape)
    content = bytearray()
    # The byte after the last is asked for too: it tells of rubbish, and makes gzip check its checksum.
    while len(content) <= promised and (piece := stream.read(min(CHUNK, promised + 1 - len(content)))):
        content += piece
    if len(content) != promised:
        excess = len(content) > promised
        raise DataError.of(
            f"must hold the {shape[0]:,} items of {math.prod(shape[1:])} bytes that its header promises.",
            "more bytes than that" if excess else f"{len(content):,} bytes where {promised:,} were promised",
            f"The file {'has rubbish at its end' if excess else 'is cut short'}. {REPLACE}",
        )
    return content


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)
