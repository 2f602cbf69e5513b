"""Who learns from which image: what the source gives is kept, the rest is drawn."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import SPLITS, Arrays, Labels, RawImages, SplitNames, Splits
from pipeline.data.duplicates import groups_of_same
from pipeline.errors import DataError
from pipeline.seeds import generator
from pipeline.study import Split

Indices = NDArray[np.int64]


def split(raw: RawImages, shares: Split, seed: int) -> Splits:
    """Train, val and test, each class keeping its share in those that are drawn.

    A split that the source gives is kept. The others are drawn, test before val, each its share of the images
    that are then left for train. Images that are the same byte for byte stay together. Within a split the
    images keep the order of the source.

    Args:
        shares: what test and val take, each in (0, 1).
        seed: the study's.

    Raises:
        DataError: a class has too few different images for one in train and in each split that is drawn.
    """
    place = np.full(len(raw.labels), "train") if raw.split is None else raw.split.copy()
    drawn = [name for name in ("test", "val") if not np.any(place == name)]
    groups = groups_of_same(raw.images)
    _check_enough(raw, groups, place == "train", drawn)
    for position, name in enumerate(drawn):
        pool = np.flatnonzero(place == "train")
        share = shares.test if name == "test" else shares.val
        chance = generator(seed, "split", name)
        # One image for train, and one for each split still to come.
        keep = len(drawn) - position
        place[pool[_draw(groups[pool], raw.labels[pool], share, keep, chance)]] = name
    _check_drawn(raw, place, drawn)
    parts = {name: Arrays(raw.images[place == name], raw.labels[place == name]) for name in SPLITS}
    return Splits(parts["train"], parts["val"], parts["test"], raw.classes)


def _draw(groups: Indices, labels: Labels, share: float, keep: int, chance: np.random.Generator) -> list[int]:
    """Positions of about `share` of a pool, drawn bundle by bundle of same images.

    Args:
        groups: (num_images,), equal for images that are the same.
        labels: (num_images,).
        keep: of each class at least so many bundles stay in the pool.
    """
    bundles: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups.tolist()):
        bundles[group].append(position)
    classes = labels.tolist()
    content = {group: Counter(classes[position] for position in bundle) for group, bundle in bundles.items()}
    left = Counter(label for labels_of in content.values() for label in labels_of)
    room = quotas(np.bincount(labels), share)
    names = list(bundles)
    order = [names[index] for index in chance.permutation(len(bundles))]
    taken: list[int] = []
    reached: set[int] = set()

    def take(group: int) -> None:
        if all(left[label] > keep for label in content[group]):
            taken.append(group)
            reached.update(content[group])
            left.subtract(content[group].keys())
            for label, amount in content[group].items():
                room[label] -= amount

    for group in order:
        if all(room[label] >= amount for label, amount in content[group].items()):
            take(group)
    # Where a class's images come in bundles larger than its share, a small one is taken all the same.
    by_size = sorted(order, key=lambda group: len(bundles[group]))
    for label in sorted(left.keys() - reached):
        for group in by_size:
            if label in content[group] and label not in reached:
                take(group)
    return [position for group in taken for position in bundles[group]]


def quotas(counts: NDArray[np.int64], share: float) -> NDArray[np.int64]:
    """How many images of each class make up `share` of all: rounded so that the sum is right, 1 at least.

    Args:
        counts: (num_classes,) images of each class.
    """
    exact = counts * share
    rounded: Indices = np.floor(exact).astype(np.int64)
    missing = round(float(counts.sum()) * share) - int(rounded.sum())
    # The classes that lost most by rounding down are made good first; among equals, the earlier one.
    rounded[np.argsort(rounded - exact, kind="stable")[:missing]] += 1
    rounded[rounded == 0] = 1
    return rounded


def _check_enough(raw: RawImages, groups: Indices, in_pool: NDArray[np.bool_], drawn: list[str]) -> None:
    purposes = ["train", *drawn]
    for label, name in enumerate(raw.classes):
        found = len(np.unique(groups[in_pool & (raw.labels == label)]))
        if found < len(purposes):
            given = "" if raw.split is None else " that its split does not put elsewhere"
            raise DataError.of(
                f"each class must have a different image for each of {', '.join(purposes)}.",
                f"class '{name}' has {found}{given}",
                "Add images of this class, or leave it out.",
            )


def _check_drawn(raw: RawImages, place: SplitNames, drawn: list[str]) -> None:
    for name in drawn:
        absent = set(range(len(raw.classes))) - set(raw.labels[place == name].tolist())
        if absent:
            raise DataError.of(
                f"a class must have images of its own for {name}.",
                f"class '{raw.classes[min(absent)]}' has almost only images that are in other classes too",
                "Give each image one label, or leave the class out.",
            )
