"""The data card and the picture of samples."""

from __future__ import annotations

import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image

from pipeline.data import Arrays, RawData, Splits, describe, draw_samples
from pipeline.data.card import pixel_moments

CLASSES = ("cat", "dog")


def arrays(seed, num_images=6):
    images = np.random.default_rng(seed).integers(0, 256, (num_images, 4, 3, 1), dtype=np.uint8)
    return Arrays(images, np.arange(num_images) % 2)


@pytest.fixture
def splits():
    return Splits(arrays(0, 8), arrays(1, 4), arrays(2, 5), CLASSES)


def raw_of(splits, *given):
    """What the splits may have been drawn from, with the splits that were given."""
    names = np.concatenate([[name] * len(part.labels) for name, part in splits.items()])
    names[~np.isin(names, given)] = "train"
    images, labels = (
        np.concatenate(part) for part in zip(*(part for _, part in splits.items()), strict=True)
    )
    return RawData(images, labels, splits.classes, names if given else None)


def test_the_card_counts(splits):
    """The card tells images per class and split, their shape and the classes."""
    card = describe(splits, raw_of(splits))
    assert (card["classes"], card["num_classes"], card["image_shape"]) == (["cat", "dog"], 2, [4, 3, 1])
    assert card["num_images"] == {"train": 8, "val": 4, "test": 5}
    assert card["counts"]["test"] == {"cat": 3, "dog": 2}


@pytest.mark.parametrize("given", [(), ("test",), ("val", "test")])
def test_the_card_tells_which_splits_were_given(splits, given):
    """The card names the splits that the source gave."""
    assert describe(splits, raw_of(splits, *given))["given"] == list(given)


def test_the_card_is_json_and_the_same_every_time(splits):
    """No date, no address, nothing that JSON cannot hold."""
    first, second = (json.dumps(describe(splits, raw_of(splits)), allow_nan=False) for _ in range(2))
    assert first == second


def test_each_array_has_the_hash_of_its_bytes(splits):
    """An array's SHA-256 is that of its bytes in row order."""
    claims = describe(splits, raw_of(splits))["arrays"]
    assert claims["val_images"] == {
        "dtype": "uint8",
        "shape": [4, 4, 3, 1],
        "sha256": hashlib.sha256(splits.val.inputs.tobytes()).hexdigest(),
    }
    assert claims["test_labels"]["sha256"] == hashlib.sha256(splits.test.labels.tobytes()).hexdigest()


def test_one_changed_pixel_or_label_or_name_changes_the_overall_hash(splits):
    """The one hash stands for all arrays and the classes."""
    hashes = [describe(splits, raw_of(splits))["sha256"]]
    splits.test.inputs[0, 0, 0, 0] ^= 1
    hashes.append(describe(splits, raw_of(splits))["sha256"])
    splits.val.labels[0] ^= 1
    hashes.append(describe(splits, raw_of(splits))["sha256"])
    renamed = Splits(splits.train, splits.val, splits.test, ("cat", "cow"))
    hashes.append(describe(renamed, raw_of(renamed))["sha256"])
    assert len(set(hashes)) == 4


def test_pixel_moments_are_those_of_train(splits):
    """Mean and deviation are NumPy's over all pixels of train, to six digits."""
    pixels = splits.train.inputs.astype(np.float64)
    assert describe(splits, raw_of(splits))["pixels"] == {
        "mean": round(pixels.mean(), 6),
        "deviation": round(pixels.std(), 6),
    }


def test_pixel_moments_do_not_depend_on_the_pieces(monkeypatch):
    """The sums are exact, so that it makes no difference how many pixels are counted at once."""
    images = arrays(3, 50).inputs
    whole = pixel_moments(images)
    monkeypatch.setattr("pipeline.data.card.CHUNK_PIXELS", 7)
    assert pixel_moments(images) == whole


def test_splits_without_repeated_images_say_so(splits):
    """Where no image is there twice, every count is zero."""
    duplicates = describe(splits, raw_of(splits))["duplicates"]
    assert set(duplicates["within"]) == {"train", "val", "test"}
    assert duplicates["across"] == {
        pair: {"num_images": 0, "num_other_label": 0, "examples": []}
        for pair in ("train/val", "train/test", "val/test")
    }


def test_images_repeated_within_a_split_are_counted(splits):
    """An image that was there before counts; so does one that had another label."""
    splits.train.inputs[[2, 5]] = splits.train.inputs[0]
    duplicates = describe(splits, raw_of(splits))["duplicates"]
    assert duplicates["within"]["train"] == {"num_images": 2, "num_other_label": 1}
    assert duplicates["within"]["val"] == {"num_images": 0, "num_other_label": 0}


def test_images_shared_by_two_splits_are_counted_with_examples(splits):
    """An image of test that train holds too is counted, and shown by both its indices."""
    splits.test.inputs[[1, 4]] = splits.train.inputs[3]
    across = describe(splits, raw_of(splits))["duplicates"]["across"]
    assert across["train/test"] == {
        "num_images": 2,
        "num_other_label": 1,
        "examples": [{"train": 3, "test": 1}, {"train": 3, "test": 4}],
    }
    assert across["train/val"]["num_images"] == 0


def test_no_more_than_ten_examples_are_shown():
    """Of many shared images all are counted and ten are shown."""
    same = arrays(0, 30)
    shared = describe(Splits(same, arrays(1), same, CLASSES), raw_of(Splits(same, arrays(1), same, CLASSES)))
    assert shared["duplicates"]["across"]["train/test"]["num_images"] == 30
    assert len(shared["duplicates"]["across"]["train/test"]["examples"]) == 10


def picture_of(splits):
    return Image.open(io.BytesIO(draw_samples(splits)))


def test_the_picture_is_the_same_every_time(splits):
    """The same images give the same bytes."""
    assert draw_samples(splits) == draw_samples(splits)


def test_the_picture_has_a_row_for_each_class():
    """Ten images per class, enlarged without blurring: the first of class one begins the second row."""
    part = arrays(0, 40)
    picture = picture_of(Splits(part, part, part, CLASSES))
    assert picture.size == (724, 124)
    left = 120 + (56 - 42) // 2  # a 3x4 image becomes 42x56
    assert picture.getpixel((left + 1, 64 + 1)) == (part.inputs[1, 0, 0, 0],) * 3
    assert picture.getpixel((left + 41, 64 + 55)) == (part.inputs[1, 3, 2, 0],) * 3


@pytest.mark.parametrize("shape", [(3, 200, 100, 3), (3, 1, 300, 1), (2, 8, 8, 3)])
def test_any_shape_and_number_can_be_drawn(shape):
    """Large, narrow and coloured images, few of them, with long and foreign names, fit into the picture."""
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    part = Arrays(images, np.arange(shape[0]) % 2)
    assert picture_of(Splits(part, part, part, ("猫" * 50, "é" * 50))).size == (724, 124)


def test_the_picture_of_very_many_classes_stays_small():
    """After a hundred rows the picture ends."""
    images = np.zeros((300, 2, 2, 1), np.uint8)
    part = Arrays(images, np.arange(300))
    assert picture_of(Splits(part, part, part, tuple(map(str, range(300))))).height == 100 * 60 + 4
