"""A person's own arrays in an .npz file."""

from __future__ import annotations

import io
import struct
import zipfile

import numpy as np
import pytest

from pipeline.data import read_raw
from pipeline.errors import DataError
from pipeline.study import Dataset

MINE = Dataset(npz="data/raw/mine.npz")
NUM_IMAGES = 12


def arrays(**changed):
    images = np.random.default_rng(7).integers(0, 256, (NUM_IMAGES, 6, 5), dtype=np.uint8)
    whole = {"images": images, "labels": np.arange(NUM_IMAGES) % 3, **changed}
    return {name: array for name, array in whole.items() if array is not None}


def npz(**changed):
    content = io.BytesIO()
    np.savez(content, **arrays(**changed))
    return content.getvalue()


def npy(array):
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def header(shape, descr="|u1", version=(1, 0)):
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text


def zipped(members, compression=zipfile.ZIP_STORED):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def with_images(member, **changed):
    others = {f"{name}.npy": npy(array) for name, array in arrays(**changed).items() if name != "images"}
    return zipped({"images.npy": member, **others})


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "data/raw/mine.npz"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_they_were_saved(path, tmp_path, channels, save):
    """Grayscale and RGB are read from packed and plain archives, with a channel axis and int64 labels."""
    shape = (NUM_IMAGES, 6, 5) if channels is None else (NUM_IMAGES, 6, 5, channels)
    images = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    save(path, **arrays(images=images))
    raw = read_raw(MINE, tmp_path)
    np.testing.assert_array_equal(raw.inputs, images.reshape(NUM_IMAGES, 6, 5, channels or 1))
    assert (raw.labels.dtype, raw.labels.tolist()) == (np.int64, [0, 1, 2] * 4)
    assert (raw.classes, raw.split) == (("0", "1", "2"), None)


@pytest.mark.parametrize("labels", [np.arange(12, dtype=">i2") % 3, np.arange(12, dtype=np.uint64) % 3])
def test_any_integer_type_will_do_for_labels(path, tmp_path, labels):
    """Labels of any width and byte order become int64."""
    np.savez(path, **arrays(labels=labels))
    assert read_raw(MINE, tmp_path).labels.tolist() == labels.tolist()


def test_images_in_column_order_are_read_in_row_order(path, tmp_path):
    """The order in which NumPy laid the pixels out makes no difference."""
    images = np.asfortranarray(arrays()["images"])
    np.savez(path, **arrays(images=images))
    np.testing.assert_array_equal(read_raw(MINE, tmp_path).inputs[..., 0], images)


def test_a_given_split_is_read(path, tmp_path):
    """The optional array `split` says for each image where it belongs."""
    split = np.array(["train", "val", "test"] * 4)
    np.savez(path, **arrays(split=split))
    assert read_raw(MINE, tmp_path).split.tolist() == split.tolist()


IMAGES = arrays()["images"]
WHOLE = npz()
LABELS = arrays()["labels"]
TWICE = {"images.npy": npy(IMAGES), "labels.npy": npy(LABELS), "images": npy(IMAGES)}
BAD_VALUES = {
    "floats 0-1": ({"images": IMAGES / 255}, "uint8, 0-255.*float64, 0 to 1. Multiply by 255"),
    "wide": ({"images": IMAGES.astype(int)}, r"uint8, 0-255.*int64, 0 to 255. Use .astype\('uint8'\)"),
    "bytes 0-1": ({"images": IMAGES % 2}, "pixel values must be 0-255.*no value above 1. Multiply"),
    "flat": ({"images": IMAGES.reshape(12, 30)}, r"images must be \(num_images, .*\(12, 30\). Resh"),
    "channels first": ({"images": IMAGES.reshape(12, 1, 6, 5)}, r"\(12, 1, 6, 5\).*channels come last"),
    "no images": ({"images": IMAGES[:0], "labels": LABELS[:0]}, r"must be images to learn.*shape \(0, 6"),
    "no pixels": ({"images": IMAGES[:, :, :0]}, r"must be images to learn from.*shape \(12, 6, 0, 1\)"),
    "objects": ({"labels": LABELS.astype(object)}, "labels: must not hold Python objects: they are pickled"),
    "too few labels": ({"labels": LABELS[:11]}, "labels must have one entry per image.*12 images, 11 labels"),
    "label -1": ({"labels": LABELS - 1}, r"labels must be 0 to k - 1.*labels\[0\] = -1"),
    "label 99": ({"labels": np.where(LABELS == 2, 99, LABELS)}, r"0 to k - 1.*labels\[2\] = 99"),
    "a huge label": ({"labels": LABELS.astype(np.uint64) + 2**63}, r"labels\[0\] = 9223372036854775808"),
    "a gap": ({"labels": np.where(LABELS == 2, 3, LABELS)}, "class must have an image.*class '2' has none"),
    "one class": ({"labels": LABELS * 0}, "must be two classes or more.*only class '0'"),
    "float labels": ({"labels": LABELS / 1}, "labels: must be whole numbers.*dtype float64"),
    "text labels": ({"labels": LABELS.astype(str)}, "labels: must be whole numbers.*dtype <U"),
    "one-hot labels": ({"labels": np.eye(3, dtype=int)[LABELS]}, r"labels: must have one dimension.*12, 3"),
    "split as numbers": ({"split": LABELS}, "split: must be text.*dtype int64"),
    "split word": ({"split": np.array(["valid"] * 12)}, r"must be train, val or test.*split\[0\] = 'valid'"),
    "split length": ({"split": np.array(["train"])}, "must have one entry per image.*12 images, 1 split"),
    "no labels": ({"labels": None}, "must hold the array labels.*Received: images. Write the file with"),
    "unknown key": ({"splits": LABELS}, "must hold images, .*'splits'. Did you mean split?"),
}  # fmt: skip


@pytest.mark.parametrize(("changed", "message"), BAD_VALUES.values(), ids=BAD_VALUES)
def test_arrays_that_are_not_as_promised_are_refused(path, tmp_path, changed, message):
    """Each wrong array is named with what it must be, what it is and what to do."""
    path.write_bytes(npz(**changed))
    with pytest.raises(DataError, match=f"(?s)^data/raw/mine.npz: .*{message}"):
        read_raw(MINE, tmp_path)


def damaged_inside():
    content = bytearray(WHOLE)
    content[WHOLE.index(IMAGES.tobytes())] ^= 1
    return bytes(content)


def lying_directory():
    """An archive whose directory claims that a hundred bytes of images unpack to 2 GiB."""
    member = header((2, 2**30 - 1)) + b"x"
    content = with_images(member)
    lie = struct.pack("<I", 2**31 - 2 + len(header((2, 2**30 - 1))))
    at = content.index(b"PK\1\2")
    return content[: at + 24] + lie + content[at + 28 :]


BAD_FILES = {
    "empty": (b"", "must be a whole .npz archive of plain arrays"),
    "text": (
        b"images, labels\n",
        "must be a whole .npz archive.*File is not a zip file. Write the file with",
    ),
    "one array": (npy(IMAGES), "must be a whole .npz archive"),
    "a pickle": (
        b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07builtins.",
        "must be a whole .npz archive",
    ),
    "cut short": (WHOLE[:-30], "must be a whole .npz archive"),
    "damaged inside": (damaged_inside(), "images: must be a whole .npz archive.*Bad CRC-32"),
    "no arrays": (zipped({}), "must hold the array images.*an empty archive"),
    "other files": (zipped({"../evil": b"x"}), "must hold images, labels and perhaps split.*'../evil'"),
    "twice": (zipped(TWICE), "must hold images, labels and perhaps split, each once"),
    "no header": (with_images(b"nothing"), "images: must be a whole .npz archive"),
    "version 2": (with_images(header((12, 6, 5), version=(2, 0)) + IMAGES.tobytes()), "not version 1.0"),
    "header no dict": (with_images(b"\x93NUMPY\1\0\2\0[]"), "images: must be a whole .npz archive"),
    "negative": (
        with_images(header((-12, -6, 5)) + IMAGES.tobytes()),
        r"images: must be a whole .*\(-12, -6, 5\)",
    ),
    "terabytes": (
        with_images(header((12, 10**6, 10**6)) + b"x"),
        "must hold as many bytes as its header promises",
    ),
    "too few bytes": (
        with_images(npy(IMAGES)[:-1]),
        "images: must hold as many bytes.*359 bytes, 360 promised",
    ),
    "too many bytes": (
        with_images(npy(IMAGES) + b"x"),
        "images: must hold as many bytes.*361 bytes, 360 promised",
    ),
    "lying directory": (lying_directory(), "must not unpack to more than 100 times its size.*2,147,483,646"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_damaged_archive_is_refused_before_memory_is_taken(path, tmp_path, content, message):
    """Headers must agree with the real sizes; what is damaged, pickled or doubled is refused."""
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"(?s)^data/raw/mine.npz: .*{message}"):
        read_raw(MINE, tmp_path)


def test_a_bomb_is_refused(path, tmp_path, monkeypatch):
    """Packed zeros that unpack to very much more are refused, with a way for those who mean it."""
    monkeypatch.setattr("pipeline.data.npz.UNPACKED_FREELY", 2**20)
    np.savez_compressed(path, **arrays(images=np.zeros((NUM_IMAGES, 512, 512), np.uint8)))
    with pytest.raises(
        DataError, match=r"images: must not unpack to more than 100 times(.|\n)*without compression"
    ):
        read_raw(MINE, tmp_path)


def test_more_than_memory_should_hold_is_refused(path, tmp_path, monkeypatch):
    """All arrays together must stay below a limit."""
    monkeypatch.setattr("pipeline.data.npz.MAX_BYTES", 400)
    path.write_bytes(WHOLE)
    with pytest.raises(DataError, match=r"must hold at most 400 bytes.\nReceived: 456 bytes"):
        read_raw(MINE, tmp_path)


def test_the_same_image_in_two_given_splits_is_refused(path, tmp_path):
    """An image that a given split puts into train and test is named by both its places."""
    images = arrays()["images"]
    images[[8, 11]] = images[1]
    split = np.array(["train"] * 8 + ["test"] * 4)
    path.write_bytes(npz(images=images, split=split))
    with pytest.raises(
        DataError, match=r"image must not be in train and test.\n.*2 in both.* images\[1\] and images\[8\]"
    ):
        read_raw(MINE, tmp_path)


def test_the_same_image_twice_is_fine_where_no_split_is_given(path, tmp_path):
    """A repeated image is no error as long as the pipeline draws the split."""
    images = arrays()["images"]
    images[8] = images[1]
    path.write_bytes(npz(images=images))
    assert len(read_raw(MINE, tmp_path).inputs) == NUM_IMAGES


@pytest.mark.parametrize(
    "given", ["mine.npz", "data/mine.npz", "/etc/passwd", "data/raw/../../x", "data/raw"]
)
def test_a_path_outside_the_raw_data_is_refused(tmp_path, given):
    """What lies outside data/raw is not watched, hence not read."""
    with pytest.raises(
        DataError,
        match=r"^dataset: .* must lie in data/raw, where a change is noticed.\nReceived: .*Move it there",
    ):
        read_raw(Dataset(npz=given), tmp_path)


def test_a_link_out_of_the_raw_data_is_refused(path, tmp_path):
    """A link inside data/raw must not lead out of it."""
    (tmp_path / "mine.npz").write_bytes(WHOLE)
    path.symlink_to(tmp_path / "mine.npz")
    with pytest.raises(
        DataError, match=r"^data/raw/mine.npz: a link must not lead out of data/raw.*\n.*Copy what it"
    ):
        read_raw(MINE, tmp_path)


def test_links_within_the_raw_data_and_a_linked_raw_folder_are_fine(path, tmp_path):
    """data/raw itself may be on another disk, and links within it may be used."""
    elsewhere = path.parent.rename(tmp_path / "disk")
    path.parent.symlink_to(elsewhere)
    (elsewhere / "whole.npz").write_bytes(WHOLE)
    (elsewhere / "mine.npz").symlink_to(elsewhere / "whole.npz")
    assert len(read_raw(MINE, tmp_path).inputs) == NUM_IMAGES


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.mkdir(), "must be a file.\nReceived: a folder. .*folder ="),
        (lambda path: path.unlink(missing_ok=True), "must be a file.\nReceived: nothing there"),
        (lambda path: path.symlink_to("nowhere"), "must be a file.\nReceived: a link to nothing"),
    ],
)
def test_something_else_in_place_of_the_file_is_refused(path, tmp_path, make, message):
    """A folder, nothing, or a link to nothing is not taken for an archive."""
    make(path)
    with pytest.raises(DataError, match=f"^data/raw/mine.npz: {message}"):
        read_raw(MINE, tmp_path)


def test_an_overlong_name_is_refused(tmp_path):
    """A name that the system will not take is an error of the data, not of the program."""
    with pytest.raises(
        DataError, match=r"must be (readable|a file).\nReceived: (File name too long|nothing)"
    ):
        read_raw(Dataset(npz="data/raw/" + "x" * 600), tmp_path)
