"""IDX files, as MNIST and Fashion-MNIST come in them."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from pipeline.data import read_raw
from pipeline.data.idx import idx_sha256, read_idx
from pipeline.errors import DataError
from pipeline.files import sha256
from pipeline.study import Dataset

FASHION = Dataset(name="fashion-mnist")
NUM_IMAGES = 20
IMAGE_BYTES = 28 * 28
GZIPPED_ZEROS = gzip.compress(bytes(2**22))


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def images_and_labels(num_images=NUM_IMAGES, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (num_images, 28, 28), dtype=np.uint8)
    return images, (np.arange(num_images) % 10).astype(np.uint8)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    monkeypatch.delenv("STUDY_RAW_MNIST", raising=False)
    monkeypatch.delenv("STUDY_RAW_FASHION_MNIST", raising=False)


@pytest.fixture
def images():
    return images_and_labels()[0]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data/raw/fashion-mnist"
    folder.mkdir(parents=True)
    for seed, prefix in enumerate(("train", "t10k")):
        for kind, array in zip(("images-idx3", "labels-idx1"), images_and_labels(seed=seed), strict=True):
            (folder / f"{prefix}-{kind}-ubyte").write_bytes(idx(array))
    return folder


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_plain_and_gzipped_files_hold_the_same_array(tmp_path, images, pack):
    """An IDX file is read whether it is gzipped or not, whatever its name says."""
    path = tmp_path / "any-name"
    path.write_bytes(pack(idx(images)))
    np.testing.assert_array_equal(read_idx(path, (28, 28)), images)


def test_the_hash_is_that_of_the_file_without_compression(tmp_path, images):
    """idx_sha256 of an array is the SHA-256 of the plain file that holds it."""
    path = tmp_path / "images"
    path.write_bytes(idx(images))
    assert idx_sha256(images) == sha256(path)


WHOLE = idx(images_and_labels()[0])
GZIPPED = gzip.compress(WHOLE)
BAD_FILES = {
    "empty": (b"", "must start with 00000803.*\nReceived: an empty file"),
    "magic": (b"PK\3\4" + bytes(100), "must start with 00000803.*\nReceived: 504b0304"),
    "header only in part": (WHOLE[:10], "must start with 00000803"),
    "float type": (b"\0\0\x0d\3" + WHOLE[4:], "must start with 00000803.*\nReceived: 00000d03"),
    "cut in an image": (WHOLE[:-100], "15,580 bytes where 15,680 were promised. The file is cut short"),
    "cut between images": (WHOLE[:-IMAGE_BYTES], "14,896 bytes where 15,680 were promised"),
    "rubbish at the end": (WHOLE + b"x", "Received: more bytes than that. The file has rubbish at its end"),
    "14x56": (idx(np.zeros((20, 14, 56), np.uint8)), "each image must be 28x28.\nReceived: 14x56"),
    "terabytes": (WHOLE[:4] + struct.pack(">3I", 2**32 - 1, 28, 28), "must hold at most 1,073,741,824 bytes"),
    "gzip cut short": (GZIPPED[:-1000], "must be one whole gzip file"),
    "gzip without its last byte": (GZIPPED[:-1], "must be one whole gzip file"),
    "gzip checksum": (
        GZIPPED[:-8] + bytes(4) + GZIPPED[-4:],
        "one whole gzip file.\nReceived: CRC check failed",
    ),
    "gzip damaged inside": (GZIPPED[:500] + bytes(50) + GZIPPED[550:], "must be one whole gzip file"),
    "rubbish after gzip": (
        GZIPPED + b"rubbish",
        "must be one whole gzip file.\nReceived: Not a gzipped file",
    ),
    "bomb": (gzip.compress(WHOLE) + GZIPPED_ZEROS, "Received: more bytes than that"),
    "labels for images": (idx(np.zeros(20, np.uint8)), "must start with 00000803.*\nReceived: 00000801"),
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_damaged_file_is_named_with_what_is_wrong(folder, tmp_path, content, message):
    """Each kind of damage is refused with the file's place and the reason."""
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=f"(?s)^data/raw/fashion-mnist/train-images-idx3-ubyte: .*{message}"):
        read_raw(FASHION, tmp_path)


def test_a_bomb_is_read_no_further_than_its_promise(tmp_path, monkeypatch):
    """Of a gzip file that unpacks to more than promised, one byte more is read and no other."""
    asked = []
    read = gzip.GzipFile.read
    monkeypatch.setattr(gzip.GzipFile, "read", lambda self, n=-1: asked.append(n) or read(self, n))
    path = tmp_path / "bomb"
    path.write_bytes(gzip.compress(WHOLE) + GZIPPED_ZEROS)
    with pytest.raises(DataError, match="rubbish"):
        read_idx(path, (28, 28))
    assert max(asked) == len(WHOLE) - 16 + 1


def test_given_parts_become_train_and_test(folder, tmp_path):
    """The train files come first, the t10k files are kept as the test split, clothes have their names."""
    raw = read_raw(FASHION, tmp_path)
    assert raw.inputs.shape == (40, 28, 28, 1)
    assert raw.split.tolist() == ["train"] * 20 + ["test"] * 20
    assert raw.classes[0] == "T-shirt/top"
    assert folder.is_dir()


def test_other_spellings_of_the_files_are_found(folder, tmp_path):
    """A dot for a dash, and .gz, name the same file."""
    before = read_raw(FASHION, tmp_path)
    (folder / "train-images-idx3-ubyte").rename(folder / "train-images.idx3-ubyte")
    plain = folder / "t10k-labels-idx1-ubyte"
    (folder / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    np.testing.assert_array_equal(read_raw(FASHION, tmp_path).inputs, before.inputs)


def test_the_variable_goes_before_the_folder(folder, tmp_path, monkeypatch):
    """STUDY_RAW_FASHION_MNIST may point anywhere, and is then where the files are read."""
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    monkeypatch.setenv("STUDY_RAW_FASHION_MNIST", str(elsewhere))
    assert len(read_raw(FASHION, tmp_path / "project").inputs) == 40


def labels_file(change):
    labels = images_and_labels()[1]
    change(labels)
    return idx(labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (
            idx(images_and_labels(19)[1]),
            "t10k files: labels must have one .*\nReceived: 20 images, 19 labels",
        ),
        (
            labels_file(lambda a: a.__setitem__(3, 10)),
            r"t10k files: labels must be 0 to 9.*\n.*labels\[3\] = 10",
        ),
        (
            labels_file(lambda a: a.fill(0)),
            "every class must have an image.\nReceived: class 'Trouser' has none",
        ),
        (idx(np.zeros(0, np.uint8)), "20 images, 0 labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(folder, tmp_path, labels, message):
    """Labels must be as many as the images, and each a class."""
    (folder / "t10k-labels-idx1-ubyte").write_bytes(labels)
    with pytest.raises(
        DataError, match=f"^data/raw/fashion-mnist: the {message}" if "t10k" in message else message
    ):
        read_raw(FASHION, tmp_path)


def test_no_images_at_all_are_refused(folder, tmp_path):
    """Files that promise and hold zero images are refused."""
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((0, 28, 28), np.uint8)))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(0, np.uint8)))
    with pytest.raises(DataError, match="train files: there must be images to learn from"):
        read_raw(FASHION, tmp_path)


def test_another_data_set_under_the_name_of_mnist_is_refused(folder, tmp_path):
    """What lies in data/raw/mnist must have the SHA-256 of MNIST."""
    folder.rename(folder.with_name("mnist"))
    with pytest.raises(
        DataError, match=r"^data/raw/mnist: train-images-idx3-ubyte: must have the SHA-256 ba89"
    ):
        read_raw(Dataset(name="mnist"), tmp_path)


def spoil(folder: Path, how: str) -> None:
    path = folder / "t10k-images-idx3-ubyte"
    path.unlink()
    if how == "folder":
        path.mkdir()
    elif how == "loop":
        path.symlink_to(path)
    elif how == "out":
        path.symlink_to("/etc/hostname")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "must be a file.\nReceived: nothing there. Put the file there"),
        ("folder", "must be a file.\nReceived: a folder. Name the file inside it"),
        ("loop", "must not be a link to itself|a link to nothing"),
        ("out", "a link must not lead out of data/raw.*\nReceived: a link to /etc/hostname"),
    ],
)
def test_something_else_in_place_of_a_file_is_refused(folder, tmp_path, how, message):
    """Nothing, a folder or a link out of data/raw is not taken for a file."""
    spoil(folder, how)
    with pytest.raises(DataError, match=f"^data/raw/fashion-mnist/t10k-images-idx3-ubyte: ({message})"):
        read_raw(FASHION, tmp_path)


def test_an_unreadable_file_is_refused(folder, tmp_path, monkeypatch):
    """A file that may not be opened is refused with the system's reason."""

    def refuse(self, *_args):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match=r"must be readable.\nReceived: Permission denied .*train-images"):
        read_raw(FASHION, tmp_path)
    assert folder.is_dir()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, monkeypatch):
    """The variable must name a folder."""
    (tmp_path / "file").write_bytes(b"x")
    monkeypatch.setenv("STUDY_RAW_FASHION_MNIST", "file")
    with pytest.raises(
        DataError, match=r"^STUDY_RAW_FASHION_MNIST=file: must be a folder.\nReceived: a file"
    ):
        read_raw(FASHION, tmp_path)


def test_a_linked_folder_is_refused_with_the_way_round(folder, tmp_path):
    """A link to a folder elsewhere is refused; the variable is named instead."""
    elsewhere = tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    with pytest.raises(DataError, match=r"must not lead out of data/raw.*\n.*Set STUDY_RAW_FASHION_MNIST to"):
        read_raw(FASHION, tmp_path)
