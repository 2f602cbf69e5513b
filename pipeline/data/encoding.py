"""Columns of numbers and words as features: what is learnt of train alone, applied to every row.

Numbers are standardised by train's mean and deviation; a column that is constant in train becomes 0
everywhere, since nothing can be learnt of it. A word becomes as many columns as train has words, 1 at its own
and 0 elsewhere; a word that train does not have is 0 in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import MAX_BYTES, Arrays, Column, RawData, Splits
from pipeline.errors import DataError

# Of each column its name; mean and deviation (0: constant), or words; where it is filled in, with what.
Encoding = Sequence[Mapping[str, Any]]
Features = NDArray[np.float32]


def encoded(splits: Splits, raw: RawData) -> tuple[Splits, dict[str, Any]]:
    """The splits with features for raw columns, and what the card says of that; images stay as they are.

    Of images that were brought to one size the card's encoding is that size and the filter, of tokens how
    many there may be, 0 included.

    Returns:
        the splits; encoding: see `fit`; missing, unseen: for each split, column name to how many of its
        values were filled in, or are words that train does not have, where there are any.

    Raises:
        DataError: see `fit` and `encode`.
    """
    if raw.kind == "tokens":
        return splits, {"encoding": {"vocabulary": int(raw.inputs.max()) + 1}}
    if not raw.columns:
        return splits, {"encoding": {"size": list(raw.size), "filter": "bilinear"}} if raw.size else {}
    encoding = fit(splits.train.inputs, raw.columns)
    parts = {
        name: Arrays(encode(part.inputs, raw.columns, encoding), part.labels) for name, part in splits.items()
    }
    missing, unseen = (
        {
            name: {
                column.name: count
                for column, values, one in zip(raw.columns, part.inputs.T, encoding, strict=True)
                if (count := counted(column, values, one))
            }
            for name, part in splits.items()
        }
        for counted in (_num_missing, _num_unseen)
    )
    ready = Splits(parts["train"], parts["val"], parts["test"], splits.classes, splits.kind)
    return ready, {"encoding": encoding, "missing": missing, "unseen": unseen}


def fit(rows: NDArray[Any], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """What is learnt of train's rows (num_rows, num_columns): of each column its name, and

    mean, deviation: of a column of numbers; a deviation of 0: it is constant.
    words: of a column of words, those that train has, sorted.
    fill: what stands for a missing value, where those are filled in: the median, or the most frequent word.

    Raises:
        DataError: a column has no value in train, or numbers whose squares are no numbers.
    """
    return [_fitted(column, values) for column, values in zip(columns, rows.T, strict=True)]


def _fitted(column: Column, values: NDArray[Any]) -> dict[str, Any]:
    given = values[~np.isnan(values)].astype(np.float64)
    if not given.size:
        raise DataError.of("must have a value in train.", "none", "Leave the column out.", column.name)
    if column.words is not None:
        counts = np.bincount(given.astype(np.int64), minlength=len(column.words))
        words = [word for word, count in zip(column.words, counts.tolist(), strict=True) if count]
        fill = {"fill": column.words[int(counts.argmax())]} if column.is_filled else {}
        return {"name": column.name, "words": words, **fill}
    median = float(np.median(given))
    whole = np.where(np.isnan(values), median, values).astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(whole.mean()), float(whole.std())
    if not np.isfinite([mean, deviation]).all():
        received = f"values up to {np.abs(whole).max():.6g}"
        raise DataError.of("must be numbers whose squares are numbers.", received, "Scale it.", column.name)
    # Rounding gives the mean of equal numbers a last digit of its own.
    if whole.min() == whole.max():
        mean, deviation = float(whole[0]), 0.0
    return {
        "name": column.name,
        "mean": mean,
        "deviation": deviation,
        **({"fill": median} if column.is_filled else {}),
    }


def encode(rows: NDArray[Any], columns: Sequence[Column], encoding: Encoding) -> Features:
    """Rows (num_rows, num_columns), NaN where something is missing, as features (num_rows, num_features).

    Raises:
        DataError: features would be larger than memory may be, or a number is too far from train's.
    """
    width = num_features(encoding)
    if len(rows) * width * 4 > MAX_BYTES:
        received = f"{len(rows):,} rows of {width:,} features"
        must = f"features must take at most {MAX_BYTES:,} bytes."
        raise DataError.of(must, received, "Leave out columns of many words.")
    features = np.zeros((len(rows), width), dtype=np.float32)
    start = 0
    for column, values, one in zip(columns, rows.T, encoding, strict=True):
        if "words" in one:
            places = _places(column, values, one)
            found = np.flatnonzero(places >= 0)
            features[found, start + places[found]] = 1
            start += len(one["words"])
            continue
        if one["deviation"]:
            whole = np.where(np.isnan(values), one.get("fill", 0.0), values).astype(np.float64)
            with np.errstate(over="ignore"):
                features[:, start] = (whole - one["mean"]) / one["deviation"]
            _check_near(features[:, start], whole, one)
        start += 1
    return features


def num_features(encoding: Encoding) -> int:
    """How many features a row becomes."""
    return sum(len(one.get("words", "1")) for one in encoding)


def _check_near(features: Features, values: NDArray[np.float64], one: Mapping[str, Any]) -> None:
    far = np.flatnonzero(~np.isfinite(features))
    if far.size:
        must = (
            f"must be within float32's range once standardised by train's deviation {one['deviation']:.6g}."
        )
        raise DataError.of(must, f"{values[far[0]]:.6g}", "Remove that row, or scale it.", one["name"])


def _places(column: Column, values: NDArray[Any], one: Mapping[str, Any]) -> NDArray[np.int64]:
    """Of each value the place of its word among train's; -1: train does not have it."""
    known = {word: place for place, word in enumerate(one["words"])}
    # The last is what is missing.
    words = [*(column.words or ()), one.get("fill", "")]
    table = np.array([known.get(word, -1) for word in words], dtype=np.int64)
    return table[np.where(np.isnan(values), len(words) - 1, values).astype(np.int64)]


def _num_missing(_column: Column, values: NDArray[Any], _one: Mapping[str, Any]) -> int:
    return int(np.isnan(values).sum())


def _num_unseen(column: Column, values: NDArray[Any], one: Mapping[str, Any]) -> int:
    return int((_places(column, values, one) < 0).sum()) if "words" in one else 0
