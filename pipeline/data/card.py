"""The data card: what the prepared arrays are, in numbers that can be compared."""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pipeline.data.arrays import HELD_OUT, KINDS, Images, RawData, Splits
from pipeline.data.splitting import count_duplicates
from pipeline.files import digest

CHUNK_PIXELS = 2**22


def describe(splits: Splits, raw: RawData, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The data card, the same for the same arrays on any machine and day.

    Args:
        about: what the card says beside: of features how they were made, see `encoded`.

    Returns:
        classes, num_classes, image_shape [height, width, channels];
        num_images: for each split;
        counts: for each split, class name to number of images;
        given: which of val and test the source gave; the others were drawn;
        pixels: mean and deviation over all pixels of train, 0-255, six digits;
        duplicates: see `count_duplicates`;
        arrays: for each stored array its dtype, shape and the SHA-256 of its bytes in C order;
        sha256: see `content_sha256`.
        Of other data than images kind comes first, input_shape stands for image_shape, num_rows for
        num_images, and there are no pixels.
    """
    arrays = {
        f"{name}_{kind}": _array_card(array)
        for name, both in splits.items()
        for kind, array in ((splits.kind, both.inputs), ("labels", both.labels))
    }
    is_images = splits.kind == "images"
    card = {
        **({} if is_images else {"kind": splits.kind}),
        "classes": list(splits.classes),
        "num_classes": len(splits.classes),
        "image_shape" if is_images else "input_shape": list(splits.train.inputs.shape[1:]),
        f"num_{KINDS[splits.kind].noun}s": {name: len(both.labels) for name, both in splits.items()},
        "counts": {
            name: dict(
                zip(
                    splits.classes,
                    np.bincount(both.labels, minlength=len(splits.classes)).tolist(),
                    strict=True,
                )
            )
            for name, both in splits.items()
        },
        "given": [] if raw.split is None else [name for name in HELD_OUT if np.any(raw.split == name)],
        **({"pixels": pixel_moments(splits.train.inputs)} if is_images else {}),
        **(about or {}),
        "duplicates": count_duplicates(splits),
        "arrays": arrays,
    }
    return {**card, "sha256": content_sha256(card)}


def content_sha256(card: Mapping[str, Any]) -> str:
    """One hash of a card's arrays and classes, and of how raw data are encoded where they are.

    Raises:
        KeyError: it is no card.
    """
    encoding = {"encoding": card["encoding"]} if "encoding" in card else {}
    return digest({"arrays": card["arrays"], "classes": card["classes"], **encoding})


def pixel_moments(images: Images) -> dict[str, float]:
    """Mean and deviation of all pixels, 0-255: summed in whole numbers, then rounded to six digits."""
    pixels = images.reshape(-1)
    counts = np.zeros(256, dtype=np.int64)
    # Counting turns bytes into 64-bit integers, hence piece by piece.
    for start in range(0, pixels.size, CHUNK_PIXELS):
        counts += np.bincount(pixels[start : start + CHUNK_PIXELS], minlength=256)
    total = sum(value * count for value, count in enumerate(counts.tolist()))
    squares = sum(value * value * count for value, count in enumerate(counts.tolist()))
    variance = (pixels.size * squares - total * total) / pixels.size**2
    return {"mean": round(total / pixels.size, 6), "deviation": round(math.sqrt(variance), 6)}


def _array_card(array: NDArray[Any]) -> dict[str, Any]:
    return {"dtype": str(array.dtype), "shape": list(array.shape), "sha256": array_sha256(array)}


def array_sha256(array: NDArray[Any]) -> str:
    """The SHA-256 of an array's bytes in C order."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


PER_CLASS = 10
CELL = 56
GAP = 4
LABEL_WIDTH = 120
LABEL_LETTERS = 18
# More rows than this nobody looks at.
MAX_CLASSES = 100


def draw_samples(splits: Splits) -> bytes:
    """A PNG: one row per class, its name, then ten training images evenly spread over those it has."""
    classes = splits.classes[:MAX_CLASSES]
    size = (LABEL_WIDTH + PER_CLASS * (CELL + GAP) + GAP, len(classes) * (CELL + GAP) + GAP)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for row, name in enumerate(classes):
        top = GAP + row * (CELL + GAP)
        text = name if len(name) <= LABEL_LETTERS else f"{name[: LABEL_LETTERS - 1]}…"
        pen.text((2 * GAP, top + CELL // 2), text, fill="black", font=font, anchor="lm")
        members = np.flatnonzero(splits.train.labels == row)
        chosen = np.unique(np.linspace(0, len(members) - 1, PER_CLASS).astype(np.int64))
        for column, index in enumerate(members[chosen]):
            cell = _cell(splits.train.inputs[index])
            left = LABEL_WIDTH + column * (CELL + GAP)
            sheet.paste(cell, (left + (CELL - cell.width) // 2, top + (CELL - cell.height) // 2))
    content = io.BytesIO()
    sheet.save(content, format="PNG")
    return content.getvalue()


def _cell(image: Images) -> Image.Image:
    """The image, (height, width, channels), as large as it fits into a cell."""
    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
    scale = CELL / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # Enlarged pixels stay squares, because they are what a model sees.
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)
