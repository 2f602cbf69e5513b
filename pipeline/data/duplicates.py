"""Images that are there more than once, byte for byte."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import SPLITS, Arrays, Images, RawImages, Splits
from pipeline.errors import DataError

NUM_EXAMPLES = 10


def fingerprints(images: Images) -> list[bytes]:
    """(num_images,) digests, equal where two images are equal byte for byte."""
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]


def groups_of_same(images: Images) -> NDArray[np.int64]:
    """(num_images,), for each image the index of the first image that is the same."""
    first: dict[bytes, int] = {}
    return np.array(
        [first.setdefault(print_, index) for index, print_ in enumerate(fingerprints(images))], np.int64
    )


def refuse_shared(raw: RawImages) -> RawImages:
    """`raw` itself, if no image is in two of the splits that it gives.

    Raises:
        DataError: one is; a score on an image that was learnt by heart says nothing.
    """
    if raw.split is None:
        return raw
    groups = groups_of_same(raw.images)
    for first, second in combinations(SPLITS, 2):
        in_first, in_second = (np.flatnonzero(raw.split == name) for name in (first, second))
        shared = in_second[np.isin(groups[in_second], groups[in_first])]
        if shared.size:
            twin = in_first[groups[in_first] == groups[shared[0]]][0]
            raise DataError.of(
                f"the same image must not be in {first} and {second}.",
                f"{shared.size} in both, the first as {raw.name_of(twin)} and {raw.name_of(shared[0])}",
                f"Remove them from {first} or {second}, or give no split: a drawn one keeps them together.",
            )
    return raw


def count_duplicates(splits: Splits) -> dict[str, Any]:
    """How many images each split repeats within itself, and shares with another.

    Returns:
        within: for each split, `num_images` that were there before, and how many of them with another label.
        across: for each pair, "train/test" say, `num_images` of the second that the first holds too, how many
            of them with another label there, and up to ten `examples` as indices into both.
    """
    seen = {name: fingerprints(arrays.images) for name, arrays in splits.items()}
    within = {name: _within(seen[name], arrays) for name, arrays in splits.items()}
    across = {
        f"{a}/{b}": _across((a, seen[a], first), (b, seen[b], second))
        for (a, first), (b, second) in combinations(splits.items(), 2)
    }
    return {"within": within, "across": across}


def _within(prints: list[bytes], arrays: Arrays) -> dict[str, int]:
    labels: dict[bytes, set[int]] = defaultdict(set)
    num_images = num_other_label = 0
    for print_, label in zip(prints, arrays.labels.tolist(), strict=True):
        before = labels[print_]
        num_images += bool(before)
        num_other_label += bool(before - {label})
        before.add(label)
    return {"num_images": num_images, "num_other_label": num_other_label}


def _across(
    first: tuple[str, list[bytes], Arrays], second: tuple[str, list[bytes], Arrays]
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
    return {"num_images": len(shared), "num_other_label": len(other), "examples": examples}
