"""Inputs and labels: read, checked, split, described, stored.

raw = read_raw(study.dataset, root)
splits = split(raw, study.split, study.seed)
splits, about = encoded(splits, raw)
save(splits, describe(splits, raw, about), root / "data" / study.name)
arrays = load(root / "data" / study.name, ("train", "val"))
"""

from pipeline.data.arrays import KINDS, SPLITS, Arrays, RawData, Splits
from pipeline.data.card import content_sha256, describe, draw_samples
from pipeline.data.encoding import encoded
from pipeline.data.npz import read_npz
from pipeline.data.sources import DATASETS, examine_raw, read_raw
from pipeline.data.splitting import refuse_shared, split
from pipeline.data.store import CARD, load, load_card, save
from pipeline.data.unlabelled import read_rows, read_tokens, read_unlabelled

__all__ = [
    "CARD",
    "DATASETS",
    "KINDS",
    "SPLITS",
    "Arrays",
    "RawData",
    "Splits",
    "content_sha256",
    "describe",
    "draw_samples",
    "encoded",
    "examine_raw",
    "load",
    "load_card",
    "read_npz",
    "read_raw",
    "read_rows",
    "read_tokens",
    "read_unlabelled",
    "refuse_shared",
    "save",
    "split",
]
