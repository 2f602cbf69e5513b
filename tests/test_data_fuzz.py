"""Whatever the bytes: they are read, or refused in words."""

from __future__ import annotations

import contextlib
import gzip
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.data import RawData, describe, load, save, split
from pipeline.data.folder import read_folder
from pipeline.data.idx import read_idx
from pipeline.data.npz import read_npz
from pipeline.errors import DataError
from pipeline.study import Split

QUICK = settings(deadline=None, database=None, derandomize=True, max_examples=150)
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 4, 4), dtype=np.uint8)
LABELS = np.arange(12) % 2
SPLIT = np.array(["train", "train", "val", "val", "test", "test"] * 2)


def npz(save_arrays):
    content = io.BytesIO()
    save_arrays(content, images=IMAGES, labels=LABELS, split=SPLIT)
    return content.getvalue()


def pictures(file_format):
    content = io.BytesIO()
    Image.fromarray(IMAGES[0]).resize((24, 24)).save(content, file_format)
    return content.getvalue()


def mutated(*whole):
    """One of the given files, or arbitrary bytes; cut, spliced, and changed in some places."""
    starts = st.sampled_from(whole) | st.binary(max_size=200)
    edits = st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=4), st.booleans()), max_size=6)
    return st.builds(edited, starts, edits, st.integers(0, 10**6) | st.none())


def edited(content, edits, end):
    for at, piece, inserts in edits:
        place = at % (len(content) + 1)
        content = content[:place] + piece + content[place + (0 if inserts else len(piece)) :]
    return content if end is None else content[: end % (len(content) + 1)]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


IDX = struct.pack(">HBB3I", 0, 8, 3, *IMAGES.shape) + IMAGES.tobytes()


@QUICK
@given(content=mutated(IDX, gzip.compress(IDX)))
def test_any_bytes_as_idx(root, content):
    """An IDX file of any bytes is an array of the right form, or a DataError."""
    path = root / "idx"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert read_idx(path, (4, 4)).shape[1:] == (4, 4)


@QUICK
@given(content=mutated(npz(np.savez), npz(np.savez_compressed)))
def test_any_bytes_as_npz(root, content):
    """An archive of any bytes is a checked data set, or a DataError."""
    path = root / "mine.npz"
    path.write_bytes(content)
    with contextlib.suppress(DataError):
        assert read_npz(path).inputs.dtype == np.uint8


HEADER = npz(np.savez).index(b"\x93NUMPY")


@QUICK
@given(
    edits=st.lists(
        st.tuples(st.integers(HEADER, HEADER + 127), st.binary(min_size=1, max_size=3)), min_size=1
    )
)
def test_any_header_in_an_npz(root, edits):
    """A changed header of an array, its checksum out of play, is never believed too far."""
    content = bytearray(npz(np.savez))
    for at, piece in edits:
        content[at : at + len(piece)] = piece
    path = root / "header.npz"
    path.write_bytes(bytes(content))
    with contextlib.suppress(DataError):
        assert read_npz(path).inputs.shape == (12, 4, 4, 1)


@QUICK
@given(content=mutated(*(pictures(file_format) for file_format in ("PNG", "JPEG", "GIF", "BMP", "WEBP"))))
def test_any_bytes_as_a_picture(root, content):
    """A picture of any bytes is read or refused, without a warning."""
    folder = root / "data/raw/pets"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "cat/1.png").write_bytes(content)
    (folder / "dog/1.png").write_bytes(pictures("PNG"))
    with contextlib.suppress(DataError):
        assert read_folder(folder, root).inputs.dtype == np.uint8


@pytest.fixture(scope="module")
def prepared(root):
    raw = RawData(IMAGES[..., None], LABELS, ("cat", "dog"), SPLIT)
    splits = split(raw, Split(), seed=1)
    folder = root / "prepared"
    folder.mkdir()
    save(splits, describe(splits, raw), folder)
    return folder


@QUICK
@given(data=st.data(), name=st.sampled_from(["val_images.npy", "val_labels.npy", "card.json"]))
def test_any_bytes_as_prepared_data(prepared, data, name):
    """Prepared data of any bytes are loaded or refused."""
    path = prepared / name
    whole = path.read_bytes()
    path.write_bytes(data.draw(mutated(whole)))
    try:
        with contextlib.suppress(DataError):
            assert len(load(prepared, ("val",))["val"].inputs) == 4
    finally:
        path.write_bytes(whole)
