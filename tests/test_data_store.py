"""The prepared data on disk."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import Arrays, RawData, Splits, describe, load, load_card, save, split
from pipeline.errors import DataError
from pipeline.files import sha256
from pipeline.study import Split

NAMES = {f"{split}_{kind}.npy" for split in ("train", "val", "test") for kind in ("images", "labels")}


@pytest.fixture
def splits():
    images = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 1), dtype=np.uint8)
    return split(RawData(images, np.arange(40) % 2, ("cat", "dog")), Split(), seed=1)


@pytest.fixture
def folder(tmp_path, splits):
    folder = tmp_path / "pets"
    folder.mkdir()
    save(splits, card_of(splits), folder)
    return folder


def card_of(splits):
    return describe(splits, RawData(*splits.train, splits.classes))


def test_the_folder_holds_arrays_card_and_picture(folder):
    """Six arrays, card.json, samples.png, and nothing left over from writing."""
    assert {path.name for path in folder.iterdir()} == NAMES | {"card.json", "samples.png"}


def test_the_same_data_give_the_same_bytes(folder, splits):
    """Saved twice, every file has the same SHA-256."""
    before = {path.name: sha256(path) for path in folder.iterdir()}
    save(splits, card_of(splits), folder)
    assert {path.name: sha256(path) for path in folder.iterdir()} == before


def test_what_was_saved_is_loaded(folder, splits):
    """Each split comes back with its dtype and values, and cannot be changed by mistake."""
    loaded = load(folder, ("train", "val", "test"))
    for name, arrays in splits.items():
        np.testing.assert_array_equal(loaded[name].inputs, arrays.inputs)
        np.testing.assert_array_equal(loaded[name].labels, arrays.labels)
        assert (loaded[name].inputs.dtype, loaded[name].labels.dtype) == (np.uint8, np.int64)
        assert not loaded[name].inputs.flags.writeable


def test_a_split_that_is_not_named_is_not_opened(folder):
    """Without its files the test split does no harm to those who have no business with it."""
    for path in folder.glob("test_*"):
        path.unlink()
    assert tuple(load(folder, ("train", "val"))) == ("train", "val")


def test_the_card_is_loaded_as_it_was_saved(folder, splits):
    """load_card gives the card that describe made."""
    assert load_card(folder) == card_of(splits)


def test_a_view_in_another_order_is_saved_like_a_copy(folder, splits):
    """Arrays that are views into others are saved in row order."""
    before = sha256(folder / "train_images.npy")
    images = np.asfortranarray(splits.train.inputs)
    save(
        Splits(Arrays(images, splits.train.labels), splits.val, splits.test, splits.classes),
        card_of(splits),
        folder,
    )
    assert sha256(folder / "train_images.npy") == before


@pytest.mark.parametrize("what", [".", "card.json", "train_images.npy", "val_labels.npy"])
def test_a_stage_before_prepare_is_told_the_command(folder, what):
    """Where the folder or a file is missing, the message names the command that makes it."""
    (folder / what).rename(folder.parent / "gone")
    where = folder if what == "." else folder / what
    with pytest.raises(
        DataError, match=rf"^{where}: the data must be prepared first.\nReceived: nothing there. Run `"
    ):
        load(folder, ("train", "val"))


def test_a_folder_where_an_array_is_meant_is_refused(folder):
    """A folder in place of a file is told from nothing."""
    (folder / "train_images.npy").unlink()
    (folder / "train_images.npy").mkdir()
    with pytest.raises(
        DataError, match=r"Received: a folder where a file is meant. Run `study prepare pets`"
    ):
        load(folder, ("train",))


def rewritten(array):
    def write(path):
        with path.open("wb") as file:
            np.lib.format.write_array(file, array)

    return write


def appended(path):
    path.write_bytes(path.read_bytes() + b"x")


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


BAD_ARRAYS = {
    "empty": ("train_images", lambda path: path.write_bytes(b""), "whole .npy file"),
    "text": ("train_images", lambda path: path.write_text("images" * 99), "whole .npy file.*magic string"),
    "a pickle": ("train_images", lambda path: path.write_bytes(pickle.dumps([1])), "whole .npy file"),
    "objects": ("train_labels", rewritten(np.array([None] * 26)), "whole .npy file.*Python objects"),
    "cut": ("train_images", cut, "whole .npy file"),
    "appended": ("train_images", appended, "must end with its array.*1 bytes more"),
    "floats": ("train_images", rewritten(np.zeros((26, 4, 4, 1))), r"must be uint8 \(26, .*float64"),
    "shorter": ("train_labels", rewritten(np.zeros(25, np.int64)), r"must be int64 \(26.*25"),
    "label 2": ("train_labels", rewritten(np.arange(26) // 12), "labels must be 0 to 1.*0 to 2"),
    "label -1": ("train_labels", rewritten(np.arange(26) % 3 - 1), "labels must be 0 to 1.*-1 to 1"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "spoil", "message"), BAD_ARRAYS.values(), ids=BAD_ARRAYS)
def test_an_array_that_is_not_what_the_card_says_is_refused(folder, name, spoil, message):
    """Each damaged array is named, and the command that makes it again."""
    spoil(folder / f"{name}.npy")
    with pytest.raises(DataError, match=f"(?s){name}.npy: .*{message}.*Run `study prepare pets` again"):
        load(folder, ("train",))


@pytest.mark.parametrize("kind", ["images", "labels"])
def test_an_array_with_other_content_is_refused(folder, splits, kind):
    """An array of the right form is compared with the card: flipped labels and pixels are found."""
    path = folder / f"val_{kind}.npy"
    array = splits.val.labels if kind == "labels" else splits.val.inputs
    rewritten(1 - array if kind == "labels" else 255 - array)(path)
    said = json.loads((folder / "card.json").read_text())["arrays"][f"val_{kind}"]["sha256"]
    message = (
        rf"val_{kind}.npy: must have the SHA-256 {said}, as the card says.\n.*Run `study prepare pets` again"
    )
    with pytest.raises(DataError, match=message):
        load(folder, ("train", "val"))
    assert tuple(load(folder, ("train", "test"))) == ("train", "test")


def changed(**entries):
    def write(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))

    return write


BAD_CARDS = {
    "empty": (lambda path: path.write_bytes(b""), "must be the card of prepared data"),
    "no JSON": (lambda path: path.write_text("{"), "must be the card of prepared data"),
    "no text": (lambda path: path.write_bytes(b"\xff\xfe\xff"), "must be the card of prepared data"),
    "too deep": (lambda path: path.write_text("[" * 100_000), "must be the card of prepared data"),
    "a list": (lambda path: path.write_text("[]"), "must be the card of prepared data"),
    "no hash": (changed(sha256=None), "must be the card of prepared data.*sha256"),
    "no hash of an array": (
        changed(arrays={"train_images": {"shape": [26, 4, 4, 1]}}),
        "must be the card of prepared data.*arrays.train_images.sha256",
    ),
    "other arrays": (changed(arrays={}), "the card must speak of train_images"),
    "other shape": (changed(image_shape=[2, 8, 1]), r"must hold one label per image of \(2, 8, 1\)"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_CARDS.values(), ids=BAD_CARDS)
def test_a_card_that_is_damaged_is_refused(folder, spoil, message):
    """A card that cannot be read, or speaks of other arrays, is refused."""
    spoil(folder / "card.json")
    with pytest.raises(DataError, match=f"(?s){message}.*Run `study prepare pets` again"):
        load(folder, ("train",))


def test_an_unreadable_array_is_refused(folder, monkeypatch):
    """An array that may not be opened is refused with the system's reason."""

    def refuse(path, **_options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(np.lib.format, "open_memmap", refuse)
    with pytest.raises(DataError, match=r"train_images.npy: must be readable.\nReceived: Permission denied"):
        load(Path(folder), ("train",))
