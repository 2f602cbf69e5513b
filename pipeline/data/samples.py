"""A picture of what there is to learn: some training images of each class."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pipeline.data.arrays import Images, Splits

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
            cell = _cell(splits.train.images[index])
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
