"""From what a study file says about its data set to its images."""

from __future__ import annotations

from pathlib import Path

from pipeline.data.arrays import RawImages
from pipeline.data.duplicates import refuse_shared
from pipeline.data.folder import read_folder
from pipeline.data.named import DATASETS
from pipeline.data.npz import read_npz
from pipeline.data.places import below_raw, placed
from pipeline.errors import DataError, nearest
from pipeline.study import Dataset


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
