"""Images and labels: read, checked, split, described, stored.

raw = read_raw(study.dataset, root)
splits = split(raw, study.split, study.seed)
save(splits, describe(splits, raw), root / "data" / study.name)
arrays = load(root / "data" / study.name, ("train", "val"))
"""

from pipeline.data.arrays import SPLITS, Arrays, RawImages, Splits
from pipeline.data.card import describe, draw_samples
from pipeline.data.sources import DATASETS, examine_raw, read_raw
from pipeline.data.splitting import split
from pipeline.data.store import CARD, load, load_card, save
from pipeline.data.unlabelled import read_unlabelled

__all__ = [
    "CARD",
    "DATASETS",
    "SPLITS",
    "Arrays",
    "RawImages",
    "Splits",
    "describe",
    "draw_samples",
    "examine_raw",
    "load",
    "load_card",
    "read_raw",
    "read_unlabelled",
    "save",
    "split",
]
