"""Who learns from which image."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import RawData, split
from pipeline.data.splitting import quotas
from pipeline.errors import DataError
from pipeline.study import Split


def raw_images(labels, pictures=None, given_split=None):
    """Images that differ unless `pictures` gives two of them the same number."""
    labels = np.asarray(labels, dtype=np.int64)
    numbers = np.arange(len(labels)) if pictures is None else np.asarray(pictures)
    images = np.full((len(labels), 2, 2, 1), 255, dtype=np.uint8)
    images[:, 0, 0, 0], images[:, 0, 1, 0] = numbers % 256, numbers // 256
    classes = tuple(f"class {label}" for label in range(int(labels.max()) + 1))
    return RawData(images, labels, classes, None if given_split is None else np.array(given_split))


def numbers(arrays):
    return (arrays.inputs[:, 0, 0, 0].astype(int) + 256 * arrays.inputs[:, 0, 1, 0].astype(int)).tolist()


def sizes(splits):
    return {name: len(arrays.labels) for name, arrays in splits.items()}


def test_each_class_keeps_its_share():
    """Of 100, 200 and 300 images the test gets a fifth of each class, and val a fifth of the rest."""
    splits = split(raw_images(np.repeat([0, 1, 2], [100, 200, 300])), Split(), seed=1)
    assert np.bincount(splits.test.labels).tolist() == [20, 40, 60]
    assert np.bincount(splits.val.labels).tolist() == [16, 32, 48]
    assert np.bincount(splits.train.labels).tolist() == [64, 128, 192]


def test_every_image_is_in_one_split_with_its_label_in_the_old_order():
    """No image is lost, doubled, relabelled or moved past another of its split."""
    raw = raw_images(np.arange(300) % 7)
    splits = split(raw, Split(), seed=5)
    parts = [numbers(arrays) for _, arrays in splits.items()]
    assert sorted(chain(*parts)) == list(range(300))
    assert all(part == sorted(part) for part in parts)
    assert all((arrays.labels == np.array(numbers(arrays)) % 7).all() for _, arrays in splits.items())


def test_the_same_seed_draws_the_same_split_and_another_seed_another():
    """The split is a pure function of the images and the study's seed."""
    raw = raw_images(np.arange(200) % 4)
    first, again, other = (numbers(split(raw, Split(), seed).test) for seed in (1, 1, 2))
    assert first == again != other


def test_this_seed_draws_this_split_for_ever():
    """What a seed means does not change between versions, or old studies could not be repeated."""
    splits = split(raw_images(np.arange(20) % 2), Split(), seed=1)
    assert {name: numbers(arrays) for name, arrays in splits.items() if name != "train"} == FOR_EVER


FOR_EVER = {"val": [9, 12, 14], "test": [6, 11, 16, 19]}


def test_a_given_test_split_is_kept_and_val_is_drawn_from_the_rest():
    """The source's test images stay the test, and val takes its share of the others."""
    raw = raw_images(np.arange(100) % 2, given_split=["train"] * 60 + ["test"] * 40)
    splits = split(raw, Split(val=0.25), seed=1)
    assert numbers(splits.test) == list(range(60, 100))
    assert sizes(splits) == {"train": 45, "val": 15, "test": 40}


def test_a_given_val_split_is_kept_and_test_is_drawn_from_the_rest():
    """The source's val images stay val, and test takes its share of the others."""
    raw = raw_images(np.arange(100) % 2, given_split=["val"] * 20 + ["train"] * 80)
    splits = split(raw, Split(test=0.25), seed=1)
    assert numbers(splits.val) == list(range(20))
    assert sizes(splits) == {"train": 60, "val": 20, "test": 20}


def test_a_whole_given_split_is_left_alone():
    """Where the source gives all three, no chance is involved."""
    raw = raw_images(np.arange(30) % 2, given_split=["train", "train", "val", "val", "test", "test"] * 5)
    one, two = (split(raw, Split(), seed) for seed in (1, 2))
    assert numbers(one.train) == numbers(two.train)
    assert sizes(one) == {"train": 10, "val": 10, "test": 10}


def test_same_images_stay_together():
    """Copies of one image, here three of each, are all in one split."""
    splits = split(raw_images(np.repeat([0, 1], 90), np.repeat(np.arange(60), 3)), Split(), seed=3)
    parts = [set(numbers(arrays)) for _, arrays in splits.items()]
    assert sum(len(part) for part in parts) == 60
    assert sizes(splits) == {"train": 117, "val": 27, "test": 36}


def test_same_images_of_two_classes_stay_together():
    """An image that is there with two labels is in one split with both."""
    splits = split(raw_images([0, 1] * 40, np.arange(80) // 2), Split(), seed=3)
    parts = [set(numbers(arrays)) for _, arrays in splits.items()]
    assert sum(len(part) for part in parts) == 40
    assert sizes(splits)["test"] == 16


def test_copies_larger_than_a_share_are_taken_whole_where_nothing_else_is_left():
    """A class of four images, each there five times, still has one of them in every split."""
    splits = split(raw_images([0] * 20 + [1] * 20, np.arange(40) // 5), Split(val=0.1, test=0.1), seed=3)
    assert all(set(arrays.labels.tolist()) == {0, 1} for _, arrays in splits.items())
    assert sizes(splits) == {"train": 20, "val": 10, "test": 10}


def test_small_classes_are_in_every_split():
    """Three images of a class are enough for one in each split, whatever the shares."""
    splits = split(raw_images([0] * 50 + [1] * 3), Split(val=0.05, test=0.9), seed=1)
    assert all(np.bincount(arrays.labels)[1] == 1 for _, arrays in splits.items())


TOO_FEW = {
    "two of three": (raw_images([0] * 9 + [1] * 2), "for each of train, test, val.*class 1' has 2"),
    "copies": (
        raw_images([0] * 9 + [1] * 9, [*range(9)] + [10] * 9),
        "for each of train, test, val.*class 1' has 1",
    ),
    "val to draw": (
        raw_images([0, 0, 1, 0, 1], given_split=["train"] * 3 + ["test"] * 2),
        "for each of train, val.*class 1' has 1 that its split does not put elsewhere",
    ),
    "none in train": (
        raw_images([0, 0, 0, 1, 1], given_split=["train", "val", "test", "test", "val"]),
        "for each of train.\n.*class 1' has 0",
    ),
    "no train": (raw_images([0, 1], given_split=["test"] * 2), "for each of train, val.*class 0' has 0"),
}


@pytest.mark.parametrize(("raw", "message"), TOO_FEW.values(), ids=TOO_FEW)
def test_a_class_with_too_few_images_is_refused(raw, message):
    """Each class needs a different image for train and for each split that is drawn."""
    with pytest.raises(DataError, match=f"(?s)each class must have a different image {message}"):
        split(raw, Split(), seed=1)


def test_a_class_that_shares_its_images_with_full_classes_is_refused():
    """Where every image of a class drags one of another class with it that must stay, the class is named."""
    raw = raw_images([0] * 30 + [1] * 3 + [2] * 3, [*[1] * 10, *[2] * 10, *[3] * 10, 1, 2, 4, 3, 5, 6])
    with pytest.raises(
        DataError, match=r"images of its own for test.\n.*'class 0' has almost only images that"
    ):
        split(raw, Split(test=0.3), seed=1)


@settings(deadline=None, database=None, derandomize=True, max_examples=50)
@given(
    counts=st.lists(st.integers(3, 60), min_size=2, max_size=6),
    copies=st.integers(1, 3),
    seed=st.integers(0, 2**31),
    val=st.floats(0.05, 0.6),
    test=st.floats(0.05, 0.6),
)
def test_any_split_is_whole_disjoint_and_has_every_class(counts, copies, seed, val, test):
    """Whatever the shares and copies: each image once, same images together, each class everywhere."""
    labels = np.repeat(np.arange(len(counts)), np.array(counts) * copies)
    splits = split(raw_images(labels, np.arange(len(labels)) // copies), Split(val=val, test=test), seed)
    parts = [set(numbers(arrays)) for _, arrays in splits.items()]
    assert sum(sizes(splits).values()) == len(labels)
    assert sum(len(part) for part in parts) == sum(counts) == len(set.union(*parts))
    assert all(set(arrays.labels.tolist()) == set(range(len(counts))) for _, arrays in splits.items())


def test_quotas_add_up_to_the_share_of_all():
    """Rounding class by class neither loses nor adds an image; a class gets one at least."""
    assert quotas(np.array([5923, 6742, 5958]), 0.2).sum() == round(0.2 * (5923 + 6742 + 5958))
    assert quotas(np.array([1, 1000]), 0.1).tolist() == [1, 100]
