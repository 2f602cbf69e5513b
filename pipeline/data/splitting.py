"""Who learns from which image: what the source gives is kept, the rest is drawn."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import KINDS, SPLITS, Arrays, Labels, RawData, SplitNames, Splits
from pipeline.errors import DataError
from pipeline.seeds import generator
from pipeline.study import Split

Indices = NDArray[np.int64]


def split(raw: RawData, shares: Split, seed: int) -> Splits:
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
    groups = groups_of_same(raw.inputs)
    _check_enough(raw, groups, place == "train", drawn)
    for position, name in enumerate(drawn):
        pool = np.flatnonzero(place == "train")
        share = shares.test if name == "test" else shares.val
        chance = generator(seed, "split", name)
        # One image for train, and one for each split still to come.
        keep = len(drawn) - position
        place[pool[_draw(groups[pool], raw.labels[pool], share, keep, chance)]] = name
    _check_drawn(raw, place, drawn)
    parts = {name: Arrays(raw.inputs[place == name], raw.labels[place == name]) for name in SPLITS}
    return Splits(parts["train"], parts["val"], parts["test"], raw.classes, raw.kind)


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


def _check_enough(raw: RawData, groups: Indices, in_pool: NDArray[np.bool_], drawn: list[str]) -> None:
    purposes = ["train", *drawn]
    for label, name in enumerate(raw.classes):
        found = len(np.unique(groups[in_pool & (raw.labels == label)]))
        if found < len(purposes):
            given = "" if raw.split is None else " that its split does not put elsewhere"
            raise DataError.of(
                f"each class must have a different {raw.noun} for each of {', '.join(purposes)}.",
                f"class '{name}' has {found}{given}",
                f"Add {raw.noun}s of this class, or leave it out.",
            )


def _check_drawn(raw: RawData, place: SplitNames, drawn: list[str]) -> None:
    for name in drawn:
        absent = set(range(len(raw.classes))) - set(raw.labels[place == name].tolist())
        if absent:
            rest = f"almost only {raw.noun}s that are in other classes too"
            raise DataError.of(
                f"a class must have {raw.noun}s of its own for {name}.",
                f"class '{raw.classes[min(absent)]}' has {rest}",
                f"Give each {raw.noun} one label, or leave the class out.",
            )


NUM_EXAMPLES = 10


def fingerprints(inputs: NDArray[Any]) -> list[bytes]:
    """(num_inputs,) digests, equal where two inputs are equal byte for byte."""
    return [hashlib.blake2b(one.tobytes(), digest_size=16).digest() for one in inputs]


def groups_of_same(inputs: NDArray[Any]) -> NDArray[np.int64]:
    """(num_inputs,), for each input the index of the first input that is the same."""
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(print_, index) for index, print_ in enumerate(fingerprints(inputs))], np.int64
    )


def refuse_shared(raw: RawData) -> RawData:
    """`raw` itself, if no image is in two of the splits that it gives.

    Raises:
        DataError: one is; a score on an image that was learnt by heart says nothing.
    """
    if raw.split is None:
        return raw
    groups = groups_of_same(raw.inputs)
    for first, second in combinations(SPLITS, 2):
        in_first, in_second = (np.flatnonzero(raw.split == name) for name in (first, second))
        shared = in_second[np.isin(groups[in_second], groups[in_first])]
        if shared.size:
            twin = in_first[groups[in_first] == groups[shared[0]]][0]
            raise DataError.of(
                f"the same {raw.noun} must not be in {first} and {second}.",
                f"{shared.size} in both, the first as {raw.name_of(twin)} and {raw.name_of(shared[0])}",
                f"Remove them from {first} or {second}, or give no split: a drawn one keeps them together.",
            )
    return raw


def count_duplicates(splits: Splits) -> dict[str, Any]:
    """How many inputs each split repeats within itself, and shares with another.

    Returns:
        within: for each split, `num_images` (of features `num_rows`) that were there before, and how many of
            them with another label.
        across: for each pair, "train/test" say, `num_images` of the second that the first holds too, how many
            of them with another label there, and up to ten `examples` as indices into both.
    """
    seen = {name: fingerprints(arrays.inputs) for name, arrays in splits.items()}
    counted = f"num_{KINDS[splits.kind].noun}s"
    within = {name: _within(seen[name], arrays, counted) for name, arrays in splits.items()}
    across = {
        f"{a}/{b}": _across((a, seen[a], first), (b, seen[b], second), counted)
        for (a, first), (b, second) in combinations(splits.items(), 2)
    }
    return {"within": within, "across": across}


def _within(prints: list[bytes], arrays: Arrays, counted: str) -> dict[str, int]:
    labels: dict[bytes, set[int]] = defaultdict(set)
    num_same = num_other_label = 0
    for print_, label in zip(prints, arrays.labels.tolist(), strict=True):
        before = labels[print_]
        num_same += bool(before)
        num_other_label += bool(before - {label})
        before.add(label)
    return {counted: num_same, "num_other_label": num_other_label}


def _across(
    first: tuple[str, list[bytes], Arrays], second: tuple[str, list[bytes], Arrays], counted: str
) -> dict[str, Any]:
    index: dict[bytes, int] = {}
    labels: dict[bytes, set[int]] = defaultdict(set)
    for position, (print_, label) in enumerate(zip(first[1], first[2].labels.tolist(), strict=True)):
        index.setdefault(print_, position)
        labels[print_].add(label)
    shared = [position for position, print_ in enumerate(second[1]) if print_ in index]
    other = [
        position for position in shared if labels[second[1][position]] - {int(second[2].labels[position])}
    ]
    examples = [
        {first[0]: index[second[1][position]], second[0]: position} for position in shared[:NUM_EXAMPLES]
    ]
    return {counted: len(shared), "num_other_label": len(other), "examples": examples}
