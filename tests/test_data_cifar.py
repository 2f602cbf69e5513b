"""CIFAR-10: read from its archive in memory, and from no other file."""

from __future__ import annotations

import hashlib
import io
import sys
import tarfile
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.data import cifar, read_raw
from pipeline.errors import DataError
from pipeline.study import Dataset

CIFAR10 = Dataset(name="cifar10")
RECORDS = np.random.default_rng(0).integers(0, 256, (6, 20, 3073), dtype=np.uint8)
RECORDS[:, :, 0] = np.arange(20) % 10


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive of small files where the real one would lie, taken for it."""
    path = tmp_path / "data/raw/cifar10/cifar-10-binary.tar.gz"
    path.parent.mkdir(parents=True)
    names = [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]
    with tarfile.open(path, "w:gz") as file:
        for name, records in zip(names, RECORDS, strict=True):
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = records.nbytes
            file.addfile(member, io.BytesIO(records.tobytes()))
    monkeypatch.delenv("STUDY_RAW_CIFAR10", raising=False)
    monkeypatch.setattr(cifar, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    return path


def test_images_are_read_channel_by_channel(archive, tmp_path):
    """As (32, 32, 3), red, green, blue; the last file is the test split; nothing is written beside it."""
    raw = read_raw(CIFAR10, tmp_path)
    assert (raw.inputs.shape, raw.inputs.dtype) == ((120, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(raw.inputs[25, 0, :, 1], RECORDS[1, 5, 1 + 1024 : 1 + 1024 + 32])
    np.testing.assert_array_equal(raw.labels, np.tile(np.arange(20) % 10, 6))
    assert raw.split.tolist() == ["train"] * 100 + ["test"] * 20
    assert (raw.classes[3], list(archive.parent.iterdir())) == ("cat", [archive])


def test_another_archive_is_refused_unread(archive, tmp_path):
    """One byte more, and nothing of it is looked at."""
    archive.write_bytes(archive.read_bytes() + b"x")
    with pytest.raises(DataError, match=r"^data/raw/cifar10/cifar-10-binary.tar.gz: must have the SHA-256"):
        read_raw(CIFAR10, tmp_path)


def test_the_archive_may_lie_where_the_variable_says(archive, tmp_path, monkeypatch):
    """Outside data/raw too."""
    archive.parent.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("STUDY_RAW_CIFAR10", str(tmp_path / "elsewhere"))
    assert len(read_raw(CIFAR10, tmp_path).labels) == 120


def test_a_failed_download_says_where_to_put_the_archive(tmp_path, monkeypatch):
    """Without a network the file, its folder and the variable are named."""

    def fail(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.delenv("STUDY_RAW_CIFAR10", raising=False)
    monkeypatch.setitem(sys.modules, "keras.utils", SimpleNamespace(get_file=fail))
    monkeypatch.setitem(sys.modules, "keras", SimpleNamespace(utils=sys.modules["keras.utils"]))
    message = (
        r"^cifar10: must be downloaded.*\n.*Put cifar-10-binary.tar.gz into data/raw/cifar10, or set STUDY"
    )
    with pytest.raises(DataError, match=message):
        read_raw(CIFAR10, tmp_path)
