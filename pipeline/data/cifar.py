"""CIFAR-10 from the archive of its binary version, which holds no pickles; it is read, never unpacked.

Source: A. Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; the form of the files is
told on https://www.cs.toronto.edu/~kriz/cifar.html, "Binary version".
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from pathlib import Path

import numpy as np

from pipeline.data.arrays import Images, RawData
from pipeline.data.places import RAW, must_be_file, placed, shown, stay_below_raw
from pipeline.errors import DataError

NAME, ARCHIVE = "cifar10", "cifar-10-binary.tar.gz"
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
# As tensorflow/datasets has it in url_checksums/cifar10.txt; the makers' page names the MD5
# of the same file, c32a1d4ab5d03f1284b67883e8d87530.
SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
VARIABLE = "STUDY_RAW_CIFAR10"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SPLITS = {"train": [f"data_batch_{number}.bin" for number in range(1, 6)], "test": ["test_batch.bin"]}
SHAPE = (3, 32, 32)


def read_cifar10(root: Path) -> RawData:
    """CIFAR-10: 50,000 images to learn from and 10,000 as its test split, (32, 32, 3).

    Raises:
        DataError: the archive is missing and cannot be downloaded, or is another by its SHA-256.
    """
    path = _path(root)
    with placed(shown(path, root)):
        must_be_file(path)
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
        if found != SHA256:
            must = f"must have the SHA-256 {SHA256}: it is not CIFAR-10's binary version."
            raise DataError.of(must, found, f"Replace it with a fresh copy of {URL}.")
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
            parts = {name: [_records(archive, file) for file in files] for name, files in SPLITS.items()}
    records = np.concatenate([one for part in parts.values() for one in part])
    split = np.repeat(list(parts), [sum(map(len, part)) for part in parts.values()])
    # The channels stand first in the file, each row by row.
    images = records[:, 1:].reshape(-1, *SHAPE).transpose(0, 2, 3, 1)
    return RawData(np.ascontiguousarray(images), records[:, 0].astype(np.int64), CLASSES, split)


def _records(archive: tarfile.TarFile, name: str) -> Images:
    """(num_images, 1 + 3072), uint8: of each image its label, then its pixels."""
    file = archive.extractfile(f"cifar-10-batches-bin/{name}")
    assert file is not None  # noqa: S101  the archive is the one that was hashed
    return np.frombuffer(file.read(), np.uint8).reshape(-1, 1 + int(np.prod(SHAPE)))


def _path(root: Path) -> Path:
    """The archive: where the variable says, in data/raw, or downloaded into Keras' folder."""
    given = os.environ.get(VARIABLE)
    if given:
        return root / given / ARCHIVE
    path = root / RAW / NAME / ARCHIVE
    if path.exists() or path.is_symlink():
        with placed(shown(path, root)):
            stay_below_raw(path, root, f"Set {VARIABLE} to its folder instead.")
        return path
    try:
        # Keras starts TensorFlow, which takes seconds: only this reader pays for it.
        from keras.utils import get_file

        return Path(get_file(ARCHIVE, URL, file_hash=SHA256, hash_algorithm="sha256"))
    # Keras raises a bare Exception where a download fails.
    except Exception as error:
        raise DataError.of(
            "must be downloaded, or lie in data/raw.",
            str(error) or type(error).__name__,
            f"Put {ARCHIVE} into {shown(path.parent, root)}, or set {VARIABLE} to its folder.",
            NAME,
        ) from error
