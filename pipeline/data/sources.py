"""From what a study file says about its data set to its images."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.arrays import RawImages
from pipeline.data.duplicates import refuse_shared
from pipeline.data.folder import check_folder, read_folder
from pipeline.data.named import DATASETS
from pipeline.data.npz import check_npz, read_npz
from pipeline.data.places import RAW, below_raw, placed
from pipeline.errors import DataError, nearest
from pipeline.files import digest, sha256
from pipeline.study import Dataset


def examine_raw(dataset: Dataset, root: Path) -> str:
    """Look at what lies on this machine, without its pixels; the SHA-256 of its files, empty where none lie.

    Raises:
        DataError: it is not what it should be, as far as names, headers and sizes tell; or it would lie
            where no change is noticed.
    """
    given = dataset.npz or dataset.folder
    path = root / RAW / str(dataset.name) if given is None else below_raw(given, root)
    if not path.exists():
        return ""
    with placed(given or str(dataset.name)):
        if dataset.npz is not None:
            check_npz(path)
        elif dataset.folder is not None:
            check_folder(path, root)
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    return digest({str(one.relative_to(path)): sha256(one) for one in files})


def read_raw(dataset: Dataset, root: Path) -> RawImages:
    """Every image of a data set, with its label and the split that its source gives it, if any.

    Args:
        dataset: a known name, or a path below data/raw.
        root: the project's folder, which paths are relative to.

    Raises:
        DataError: the source is missing, damaged, or is not what it should be; or it gives a split itself
            and the same image is in two of its splits.
    """
    if dataset.npz is not None:
        path = below_raw(dataset.npz, root)
        with placed(dataset.npz):
            return refuse_shared(read_npz(path))
    if dataset.folder is not None:
        path = below_raw(dataset.folder, root)
        with placed(dataset.folder):
            return refuse_shared(read_folder(path, root))
    name = str(dataset.name)
    if name not in DATASETS:
        raise DataError.of("unknown data set.", name, nearest(name, DATASETS), "dataset")
    return DATASETS[name](root)
