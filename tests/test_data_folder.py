"""A person's own pictures in folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import describe, encoded, read_raw, read_unlabelled, split
from pipeline.errors import DataError
from pipeline.study import Dataset, Split

MINE = Dataset(folder="data/raw/pets")


def picture(seed, mode="L", size=(5, 4)):
    shape = (size[1], size[0]) if mode in ("L", "I;16") else (size[1], size[0], len(mode))
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def put(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def pets(tmp_path):
    folder = tmp_path / "data/raw/pets"
    for index, name in enumerate(("dog/1.png", "cat/2.png", "cat/10.bmp", "emu/a.png")):
        put(folder / name, picture(index))
    return folder


def test_each_folder_is_a_class(pets, tmp_path):
    """Classes and images come in the order of their names, gray images with one channel."""
    raw = read_raw(MINE, tmp_path)
    assert raw.classes == ("cat", "dog", "emu")
    assert raw.files == ("cat/10.bmp", "cat/2.png", "dog/1.png", "emu/a.png")
    assert (raw.labels.tolist(), raw.split) == ([0, 0, 1, 2], None)
    np.testing.assert_array_equal(raw.inputs[..., 0], [picture(seed) for seed in (2, 1, 0, 3)])
    assert pets.is_dir()


def test_one_picture_in_colour_makes_all_of_them_rgb(pets, tmp_path):
    """Gray images get three equal channels when any image has colour."""
    put(pets / "dog/1.png", picture(9, "RGB"))
    raw = read_raw(MINE, tmp_path)
    np.testing.assert_array_equal(raw.inputs[2], picture(9, "RGB"))
    np.testing.assert_array_equal(raw.inputs[3], np.stack([picture(3)] * 3, axis=-1))


def test_every_kind_of_gray_becomes_bytes(pets, tmp_path):
    """One bit, 16 bits and gray with an opaque second channel all end as 0-255 in one channel."""
    Image.fromarray(np.array([[0, 65_535, 32_896, 257, 128]] * 4, np.uint16)).save(pets / "cat/10.png")
    Image.new("1", (5, 4), 1).save(pets / "dog/1.png")
    Image.merge("LA", (Image.fromarray(picture(3)), Image.new("L", (5, 4), 255))).save(pets / "emu/a.png")
    images = read_raw(MINE, tmp_path).inputs
    assert images.shape == (5, 4, 5, 1)
    assert images[1, 0, :, 0].tolist() == [0, 255, 128, 1, 0]
    assert (images[3] == 255).all()
    np.testing.assert_array_equal(images[4, ..., 0], picture(3))


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "gif", "webp", "bmp"])
def test_the_usual_formats_are_read(pets, tmp_path, suffix):
    """JPEG, GIF, WebP and BMP are read like PNG, whatever the case of the name."""
    Image.new("RGB", (5, 4), (200, 10, 90)).save(pets / f"emu/b.{suffix}")
    pixels = read_raw(MINE, tmp_path).inputs[-1].astype(int)
    assert (abs(pixels - [200, 10, 90]) <= 4).all()  # JPEG and WebP lose a little


def test_hidden_files_are_passed_over(pets, tmp_path):
    """What desktops leave behind is neither a class nor an image."""
    (pets / ".DS_Store").write_bytes(b"x")
    (pets / "cat/.thumbs").mkdir()
    assert len(read_raw(MINE, tmp_path).inputs) == 4


def given(folder, *names):
    for index, name in enumerate(names):
        put(folder / name, picture(index))


def test_folders_for_train_and_test_are_a_given_split(tmp_path):
    """train/, val/ and test/ with class folders in them say which image belongs where."""
    given(tmp_path / "data/raw/pets", "train/cat/1.png", "train/dog/1.png", "val/cat/1.png", "test/dog/1.png")
    raw = read_raw(MINE, tmp_path)
    assert sorted(zip(raw.split.tolist(), raw.labels.tolist(), strict=True)) == [
        ("test", 1), ("train", 0), ("train", 1), ("val", 0),
    ]  # fmt: skip


def test_a_class_may_be_called_train(tmp_path):
    """The folder "train" beside other classes holds pictures of trains."""
    given(tmp_path / "data/raw/pets", "train/1.png", "ship/1.png")
    raw = read_raw(MINE, tmp_path)
    assert (raw.classes, raw.split) == (("ship", "train"), None)


def test_the_same_picture_in_train_and_test_is_named(tmp_path):
    """An image in both given splits is refused by the names of both files."""
    folder = tmp_path / "data/raw/pets"
    given(folder, "train/cat/1.png", "train/dog/2.png", "test/cat/3.png", "test/dog/4.png")
    put(folder / "test/dog/4.png", picture(0))
    message = r"must not be in train and test.\n.*1 in both, the first as train/cat/1.png and test/dog/4.png"
    with pytest.raises(DataError, match=message):
        read_raw(MINE, tmp_path)


def animated(path):
    frames = [Image.fromarray(picture(seed)) for seed in range(3)]
    frames[0].save(path.with_suffix(".gif"), save_all=True, append_images=frames[1:])


def cut(path):
    put(path, picture(5, size=(50, 40)))
    path.write_bytes(path.read_bytes()[:-600])


def clear(path):
    for image in path.parent.iterdir():
        image.unlink()


BAD_PICTURES = {
    "text": (lambda path: path.write_text("no image"), "dog/1.png: must be a whole image.*cannot"),
    "empty": (lambda path: path.write_bytes(b""), "whole image.*dog/1.png"),
    "another format": (lambda path: Image.new("L", (5, 4)).save(path, "TIFF"), "be a whole image.*cannot"),
    "another file": (lambda path: path.with_name("n.txt").write_text(""), "dog/n.txt: must be an image file"),
    "size": (lambda path: put(path, picture(5, size=(4, 5))), "be 5 x 4 pixels like cat/10.bmp"),
    "transparent": (lambda path: put(path, picture(5, "RGBA")), "be opaque.*mode RGBA with"),
    "animated": (animated, "dog/1.gif: must be a single picture.*3 frames"),
    "a folder": (lambda path: path.with_name("sub").mkdir(), "dog/sub: must be an image.*a folder. Lay"),
    "no picture": (clear, "dog: must hold an image.*an empty folder"),
    "a link out": (lambda path: path.with_name("2.png").symlink_to("/etc/hostname"), "2.png: a link must"),
    "a dead link": (lambda path: path.with_name("2.png").symlink_to("x"), "2.png: must be an image"),
    "loose file": (lambda path: put(path.parents[1] / "x.png", picture(5)), "x.png: must be a folder"),
    "class name": (lambda path: path.parent.rename(path.parents[1] / "a\nb"), "must have a printable name"),
}  # fmt: skip


@pytest.mark.parametrize(("spoil", "message"), BAD_PICTURES.values(), ids=BAD_PICTURES)
def test_a_picture_that_will_not_do_is_named(pets, tmp_path, spoil, message):
    """Each wrong file is refused by its name, with what it must be."""
    spoil(pets / "dog/1.png")
    with pytest.raises(DataError, match=f"(?s)^data/raw/pets: .*{message}"):
        read_raw(MINE, tmp_path)


def test_all_pictures_that_will_not_do_are_told_at_once(pets, tmp_path):
    """The most common size is meant; each picture of another size or without one is named in one go."""
    put(pets / "cat/10.bmp", picture(5, size=(9, 9)))
    put(pets / "dog/0.png", picture(6, size=(7, 3)))
    (pets / "emu/b.png").write_text("no image")
    with pytest.raises(DataError) as caught:
        read_raw(MINE, tmp_path)
    told = {problem.where: (problem.must, problem.received) for problem in caught.value.problems}
    meant = "must be 5 x 4 pixels like cat/2.png."
    assert told.pop("data/raw/pets: emu/b.png")[0] == "must be a whole image of modest size."
    assert told == {
        "data/raw/pets: cat/10.bmp": (meant, "9 x 9"),
        "data/raw/pets: dog/0.png": (meant, "7 x 3"),
    }


def test_all_transparent_pictures_are_told_at_once(pets, tmp_path):
    """What only the pixels show is told of each picture, too."""
    for name in ("cat/2.png", "dog/1.png"):
        put(pets / name, picture(5, "RGBA"))
    with pytest.raises(DataError, match=r"(?s)cat/2.png: must be opaque.*dog/1.png: must be opaque"):
        read_raw(MINE, tmp_path)


def test_a_picture_cut_short_is_refused(pets, tmp_path):
    """An image whose header is whole and whose pixels are not is refused."""
    for path in pets.glob("*/*"):
        put(path.with_suffix(".png"), picture(1, size=(50, 40)))
    (pets / "cat/10.bmp").unlink()
    cut(pets / "dog/1.png")
    with pytest.raises(DataError, match=r"dog/1.png: must be a whole image of modest size.\n.*truncated"):
        read_raw(MINE, tmp_path)


@pytest.mark.parametrize("limit", [15, 5])
def test_a_decompression_bomb_is_refused(pets, tmp_path, monkeypatch, limit):
    """What Pillow warns of or refuses as a bomb is refused before it is unpacked."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(
        DataError, match=r"cat/10.bmp: must be a whole image of modest size.\n.*decompression bomb"
    ):
        read_raw(MINE, tmp_path)
    assert pets.is_dir()


def test_more_than_memory_should_hold_is_refused(pets, tmp_path, monkeypatch):
    """All images together must stay below a limit."""
    monkeypatch.setattr("pipeline.data.folder.MAX_BYTES", 79)
    with pytest.raises(DataError, match=r"must hold at most 79 bytes.\nReceived: 80. Shrink"):
        read_raw(MINE, tmp_path)
    assert pets.is_dir()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "must hold one folder per class.\nReceived: an empty folder. Lay it out"),
        (("cat/1.png",), "must be two classes or more"),
        (("train/1.png", "test/1.png"), "train/1.png|test/1.png: must be a folder of images"),
        (("train/cat/1.png", "valid/cat/1.png"), "train/cat: must be an image.\nReceived: a folder"),
    ],
)
def test_another_layout_is_refused(tmp_path, names, message):
    """No class, one class, or splits under other names are refused with the layout that is meant."""
    folder = tmp_path / "data/raw/pets"
    folder.mkdir(parents=True)
    given(folder, *names)
    with pytest.raises(DataError, match=message):
        read_raw(MINE, tmp_path)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    """folder = must name a folder."""
    put(tmp_path / "data/raw/pets.png", picture(0))
    with pytest.raises(DataError, match=r"^data/raw/pets.png: must be a folder.\nReceived: a file"):
        read_raw(Dataset(folder="data/raw/pets.png"), tmp_path)


def test_a_missing_folder_is_refused(tmp_path):
    """A folder that is not there is an error of the data."""
    with pytest.raises(DataError, match=r"^data/raw/pets: must be a folder.\nReceived: nothing there"):
        read_raw(MINE, tmp_path)


def test_an_unreadable_folder_is_refused(pets, tmp_path, monkeypatch):
    """A folder that may not be listed is refused with the system's reason."""

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"^data/raw/pets: must be readable.\nReceived: Permission denied"):
        read_raw(MINE, tmp_path)
    assert pets.is_dir()


def test_pictures_of_any_size_are_brought_to_one(pets, tmp_path):
    """By Pillow's bilinear filter, where the study gives a size; a picture of that size stays as it is."""
    put(pets / "dog/1.png", picture(9, size=(50, 33)))
    raw = read_raw(Dataset(folder=MINE.folder, size=[4, 5]), tmp_path)
    assert raw.inputs.shape == (4, 4, 5, 1)
    np.testing.assert_array_equal(raw.inputs[0, ..., 0], picture(2))
    whole = Image.fromarray(picture(9, size=(50, 33)))
    np.testing.assert_array_equal(
        raw.inputs[2, ..., 0], np.asarray(whole.resize((5, 4), Image.Resampling.BILINEAR))
    )
    again, _ = read_unlabelled([str(pets / "dog/1.png")], (4, 5, 1), is_resized=True)
    np.testing.assert_array_equal(again[0], raw.inputs[2])


def test_the_card_tells_how_pictures_were_resized(pets, tmp_path):
    """So that a model is asked with pictures of any size; a picture that is damaged is told all the same."""
    for index in range(12):
        put(pets / f"{('dog', 'cat', 'emu')[index % 3]}/x{index}.png", picture(index + 20, size=(9, 9)))
    raw = read_raw(Dataset(folder=MINE.folder, size=[4, 5]), tmp_path)
    splits, about = encoded(split(raw, Split(), seed=1), raw)
    card = describe(splits, raw, about)
    assert (card["encoding"], card["image_shape"]) == ({"size": [4, 5], "filter": "bilinear"}, [4, 5, 1])
    (pets / "emu/a.png").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"^data/raw/pets: emu/a.png: must be a whole image") as caught:
        read_raw(Dataset(folder=MINE.folder, size=[4, 5]), tmp_path)
    assert len(caught.value.problems) == 1
