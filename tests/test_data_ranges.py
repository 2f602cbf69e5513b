"""Images whose values are not spread over 0-255, as a person's archive brings them."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data import read_raw
from pipeline.errors import DataError
from pipeline.study import Dataset

MINE = Dataset(npz="data/raw/mine.npz")
NUM_IMAGES = 12
IMAGES = np.random.default_rng(7).integers(0, 256, (NUM_IMAGES, 6, 5), dtype=np.uint8)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data/raw/mine.npz"
    path.parent.mkdir(parents=True)
    return path


def put(path, images):
    np.savez(path, images=images, labels=np.arange(NUM_IMAGES) % 3)


TO_BYTES = r"round, then use .astype\('uint8'\)"
SIXTEEN = IMAGES % 17.0
SCALE = rf"Use .astype\('float64'\), subtract the minimum, divide by \(maximum - minimum\), .*{TO_BYTES}"
RANGES = {
    "0-1": (IMAGES / 255, f"float64, 0 to 1. Multiply by 255, {TO_BYTES}"),
    "0-1 as bools": (IMAGES > 99, f"bool, 0 to 1. Multiply by 255, {TO_BYTES}"),
    "0-1 as 8-bit integers": (IMAGES.astype("i1") % 2, f"int8, 0 to 1. Multiply by 255.0, {TO_BYTES}"),
    "0-16": (SIXTEEN, rf"float64, 0 to 16. Multiply by 15.9375 \(255 / 16\), {TO_BYTES}"),
    "0-255": (IMAGES.astype("f4"), r"float32, 0 to 255. Round, then use .astype\('uint8'\)"),
    "negative": (IMAGES / 127.5 - 1, f"float64, -1 to 1. {SCALE}"),
    "above 255": (IMAGES.astype("u2") * 257, f"uint16, 0 to 65535. {SCALE}"),
    "another maximum": (IMAGES % 32 / 2, f"float64, 0 to 15.5. {SCALE}"),
    "almost black": (IMAGES / 2550, f"float64, 0 to 0.1. {SCALE}"),
    "one value": (IMAGES * 0.0 + 300, "float64, 300 to 300. All of them are the same: save other images"),
}  # fmt: skip


@pytest.mark.parametrize(("images", "message"), RANGES.values(), ids=RANGES)
def test_the_advice_follows_the_range_of_the_values(path, tmp_path, images, message):
    """Images of another type are told by their least and their greatest value how to become bytes."""
    put(path, images)
    with pytest.raises(DataError, match=rf"images: values must be uint8, 0-255\.\nReceived: dtype {message}"):
        read_raw(MINE, tmp_path)


def test_the_advice_for_values_to_sixteen_gives_good_images(path, tmp_path):
    """Whoever follows it has images that are taken, with all of the contrast that they had."""
    put(path, np.round(SIXTEEN * 15.9375).astype("uint8"))
    assert len(np.unique(read_raw(MINE, tmp_path).inputs)) == 17


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_counted(path, tmp_path, value):
    """NaN and infinity are refused before the range, with their number and the place of the first."""
    images = IMAGES / 255
    images[3, 2, 1] = images[7, 0, 0] = value
    put(path, images)
    message = (
        rf"values must be finite\.\nReceived: 2 that are not, the first {value} at \(3, 2, 1\)\. Replace"
    )
    with pytest.raises(DataError, match=message):
        read_raw(MINE, tmp_path)


@pytest.mark.parametrize("highest", [2, 16, 64])
def test_bytes_far_below_255_are_refused(path, tmp_path, highest):
    """Bytes that were never spread over 0-255 are told their maximum and how to spread them."""
    put(path, IMAGES % (highest + 1))
    message = (
        rf"must be 0-255.\nReceived: no value above {highest}. Divide by {highest}, multiply by 255, round"
    )
    with pytest.raises(DataError, match=message):
        read_raw(MINE, tmp_path)


def test_bytes_that_wrapped_around_are_refused(path, tmp_path):
    """Values to sixteen, multiplied by 255 and cut to bytes, are recognised by what is left of them."""
    wrapped = (SIXTEEN.astype(int) * 255).astype("uint8")
    put(path, wrapped)
    message = (
        r"must be 0-255.\nReceived: values that look wrapped: only 0 and 16 values from 240 to 255. Start"
    )
    with pytest.raises(DataError, match=message):
        read_raw(MINE, tmp_path)


@pytest.mark.parametrize(
    "images",
    [IMAGES // 128 * 255, 240 + IMAGES % 16, np.where(IMAGES > 99, 254 + IMAGES % 2, 0), IMAGES // 4 + 2],
    ids=["mask", "almost white", "two whites", "dark"],
)
def test_unusual_bytes_are_taken(path, tmp_path, images):
    """Masks of 0 and 255, pale images and dark ones are no mistakes."""
    put(path, images.astype("uint8"))
    assert len(read_raw(MINE, tmp_path).inputs) == NUM_IMAGES
