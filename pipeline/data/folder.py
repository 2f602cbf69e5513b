"""A person's own pictures: a folder per class, perhaps below the folders train, val and test."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.data.arrays import MAX_BYTES, SPLITS, Images, RawData
from pipeline.data.places import must_be_folder, placed, stay_below_raw
from pipeline.errors import DataError, Problem

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
GRAY_MODES = ("1", "L", "LA", "I", "I;16", "I;16B", "I;16L", "I;16N")
# Pillow's, which takes the mean of all pixels that a smaller one covers.
FILTER = Image.Resampling.BILINEAR
Size = Sequence[int]
LAYOUT = "Lay it out as CLASS/image.png, or as train/CLASS/image.png and test/CLASS/image.png."


@dataclass(frozen=True)
class Picture:
    """One image file: its path, its place below the folder, its class and, where given, its split."""

    path: Path
    name: str
    class_name: str
    split: str | None


def read_folder(folder: Path, root: Path, size: Size | None = None) -> RawData:
    """The pictures of a folder, class by class in the order of their names.

    They become (num_images, height, width, 1) if all of them are grayscale, else (..., 3), RGB; uint8, 0-255.

    Args:
        size: (height, width) that each is brought to.

    Raises:
        DataError: another layout, a file that is no image, a damaged, animated or transparent image, two
            sizes where none is given, or a link out of data/raw below `root`; the message names each such
            picture, or the first file that is none.
    """
    must_be_folder(folder)
    pictures = list(_pictures(folder, root))
    classes = tuple(sorted({picture.class_name for picture in pictures}))
    images = read_pictures(pictures, size)
    labels = np.array([classes.index(picture.class_name) for picture in pictures], dtype=np.int64)
    given = [picture.split for picture in pictures if picture.split]
    split = np.array(given, dtype=np.str_) if given else None
    names = tuple(picture.name for picture in pictures)
    return RawData(images, labels, classes, split, names, size=None if size is None else tuple(size))


def check_folder(folder: Path, root: Path, size: Size | None = None) -> None:
    """Pass over a folder whose pictures are of one size or may be of any, none of them unpacked.

    Raises:
        DataError: see `read_folder`.
    """
    must_be_folder(folder)
    _common_form(list(_pictures(folder, root)), size)


def _pictures(folder: Path, root: Path) -> Iterator[Picture]:
    top = _class_folders(folder, folder, root)
    # A class may well be called "train", but then it stands beside classes that are no splits.
    is_split = all(path.name in SPLITS for path in top)
    for path in top:
        split = path.name if is_split else None
        for class_folder in _class_folders(path, folder, root) if is_split else [path]:
            for file in _image_files(class_folder, folder, root):
                yield Picture(file, str(file.relative_to(folder)), class_folder.name, split)


def _entries(folder: Path, top: Path, root: Path) -> list[Path]:
    """What a folder shows, by name; each link in it stays below data/raw."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    for path in entries:
        if path.is_symlink():
            with placed(_name(path, top)):
                stay_below_raw(path, root)
    return entries


def _class_folders(folder: Path, top: Path, root: Path) -> list[Path]:
    entries = _entries(folder, top, root)
    for path in entries:
        if not path.is_dir():
            raise DataError.of("must be a folder of images.", "a file", LAYOUT, _name(path, top))
        if not path.name.isprintable():
            raise DataError.of(
                "a class must have a printable name.",
                path.name,
                "Rename the folder.",
                _name(path, top),
            )
    if not entries:
        raise DataError.of("must hold one folder per class.", "an empty folder", LAYOUT, _name(folder, top))
    return entries


def _image_files(folder: Path, top: Path, root: Path) -> list[Path]:
    entries = _entries(folder, top, root)
    for path in entries:
        if path.is_dir():
            raise DataError.of("must be an image.", "a folder", LAYOUT, _name(path, top))
        if path.suffix.lower() not in SUFFIXES or not path.is_file():
            known = ", ".join(SUFFIXES)
            raise DataError.of(
                f"must be an image file ({known}).",
                path.name,
                "Remove or convert it.",
                _name(path, top),
            )
    if not entries:
        advice = "Add images of this class, or remove its folder."
        raise DataError.of("must hold an image.", "an empty folder", advice, _name(folder, top))
    return entries


def _name(path: Path, top: Path) -> str:
    return "" if path == top else str(path.relative_to(top))


def read_pictures(pictures: Sequence[Picture], size: Size | None = None) -> Images:
    """Every picture in one array, sizes and colours read before anything is unpacked; see `read_folder`.

    Raises:
        DataError: see `read_folder`.
    """
    (width, height), is_gray = _common_form(pictures, size)
    shape = (len(pictures), height, width, 1 if is_gray else 3)
    num_bytes = int(np.prod(shape, dtype=object))
    if num_bytes > MAX_BYTES:
        raise DataError.of(f"must hold at most {MAX_BYTES:,} bytes.", f"{num_bytes:,}", "Shrink the images.")
    images = np.empty(shape, dtype=np.uint8)
    problems: list[Problem] = []
    for index, picture in enumerate(pictures):
        with _gathered(problems), _opened(picture) as image:
            images[index] = _pixels(image, is_gray, (width, height))
    if problems:
        raise DataError(*problems)
    return images


def _common_form(pictures: Sequence[Picture], size: Size | None) -> tuple[tuple[int, int], bool]:
    """The one size of all pictures, or the given (height, width), as (width, height); whether all are gray.

    Raises:
        DataError: each picture that has no size, or another one than most.
    """
    sizes: dict[Picture, tuple[int, int]] = {}
    is_gray = True
    problems: list[Problem] = []
    for picture in pictures:
        with _gathered(problems), _opened(picture) as image:
            sizes[picture] = image.size
            is_gray = is_gray and image.mode in GRAY_MODES
    if not sizes:
        raise DataError(*problems)
    if size is not None and not problems:
        return (size[1], size[0]), is_gray
    [(common, _)] = Counter(sizes.values()).most_common(1)
    example = next(picture.name for picture, size in sizes.items() if size == common)
    must = f"must be {common[0]} x {common[1]} pixels like {example}."
    problems += [
        Problem(must, f"{width} x {height}", "Bring all images to one size.", picture.name)
        for picture, (width, height) in sizes.items()
        if (width, height) != common and size is None
    ]
    if problems:
        raise DataError(*problems)
    return common, is_gray


@contextmanager
def _gathered(problems: list[Problem]) -> Iterator[None]:
    """Put what is wrong with one picture to the others' problems, and go on."""
    try:
        yield
    except DataError as error:
        problems.extend(error.problems)


@contextmanager
def _opened(picture: Picture) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(picture.path, formats=FORMATS) as image:
                yield image
    except DataError as error:
        raise error.at(picture.name) from error
    # In damaged bytes Pillow's decoders raise whatever they happen to stumble on.
    except Exception as error:
        received = str(error).replace(str(picture.path), picture.name) or type(error).__name__
        advice = "Replace or remove the file."
        raise DataError.of("must be a whole image of modest size.", received, advice, picture.name) from error


def _pixels(image: Image.Image, is_gray: bool, size: tuple[int, int]) -> Images:
    """(height, width, 1) or (height, width, 3), uint8, 0-255, of a picture brought to (width, height)."""
    num_frames = getattr(image, "n_frames", 1)
    if num_frames > 1:
        raise DataError.of("must be a single picture.", f"{num_frames} frames", "Keep one of them.")
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise DataError.of(
            "must be opaque: what is seen through it is anyone's guess.",
            f"mode {image.mode} with transparent pixels",
            "Put it on a background.",
        )
    if image.mode.startswith("I"):
        sixteen_bit = np.asarray(image).astype(np.int64).clip(0, 65_535)
        image = Image.fromarray(((sixteen_bit * 255 + 32_767) // 65_535).astype(np.uint8))
    image = image.convert("L" if is_gray else "RGB")
    pixels = np.asarray(image if image.size == size else image.resize(size, FILTER))
    return pixels[..., None] if is_gray else pixels
