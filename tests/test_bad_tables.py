"""What people get wrong with rows of numbers and words, each tried once as they meet it: at the command line.

As in test_bad_inputs.py: one message in the project's form, exit code 2, nothing written.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, write_study
from refusals import Study, refused, refused_data, study

from pipeline.data import table

__all__ = ["study"]

CHANCE = np.random.default_rng(0)
ROWS, LABELS = CHANCE.normal(size=(24, 3)).astype(np.float32), np.arange(24) % 3
TOKENS = np.stack([1 + np.arange(24), np.arange(24) % 2], axis=1).astype(np.int32)
HEADER = "length,colour,species"
LINES = [f"{index / 7},{'red' if index % 5 else 'blue'},{'abc'[index % 3]}" for index in range(24)]
CSV = "\n".join([HEADER, *LINES])


def rows(raw: Path, features: np.ndarray = ROWS, labels: np.ndarray = LABELS, **others: np.ndarray) -> str:
    """An archive of features."""
    np.savez(raw / "mine.npz", features=features, labels=labels, **others)
    return '{ npz = "data/raw/mine.npz" }'


def tokens(raw: Path, array: np.ndarray) -> str:
    """An archive of tokens."""
    np.savez(raw / "mine.npz", tokens=array, labels=LABELS)
    return '{ npz = "data/raw/mine.npz" }'


def cells(raw: Path, text: str | bytes = CSV, more: str = "", label: str = "species") -> str:
    """A CSV file of this text, and more keys beside its label."""
    (raw / "mine.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    return f'{{ csv = "data/raw/mine.csv", label = "{label}"{more} }}'


def swapped(old: str, new: str, more: str = "") -> Callable[[Path], str]:
    """A CSV file with one text replaced, once."""
    assert old in CSV
    return lambda raw: cells(raw, CSV.replace(old, new, 1), more)


FIRST = LINES[0]
FILLED = swapped("3.0,", ",", ', missing = "impute"')
MISTAKES: dict[str, tuple[Callable[[Path], str], str]] = {
    "features as float64": (lambda raw: rows(raw, ROWS.astype("f8")), "features: must be float32."),
    "features with nan": (lambda raw: rows(raw, ROWS * np.nan), "Received: 72 that are not, the first nan"),
    "features of one class": (lambda raw: rows(raw, labels=LABELS * 0), "there must be two classes or more."),
    "features of three axes": (lambda raw: rows(raw, ROWS[..., None]), "features must be (num_rows, num"),
    "features without a column": (lambda raw: rows(raw, ROWS[:, :0]), "there must be rows to learn from."),
    "too few rows": (lambda raw: rows(raw, ROWS[:4], LABELS[:4]), "a different row for each of train, test"),
    "features and images": (
        lambda raw: rows(raw, images=ROWS),
        "must hold images, labels and perhaps split, each once.\nReceived: 'features'.",
    ),
    "tokens as int64": (lambda raw: tokens(raw, TOKENS.astype("i8")), "tokens: must be int32."),
    "tokens as floats": (lambda raw: tokens(raw, TOKENS / 2), "tokens: must be int32.\nReceived: dtype f"),
    "negative tokens": (lambda raw: tokens(raw, TOKENS - 2), "tokens must not be negative: 0 is padding."),
    "padding alone": (
        lambda raw: tokens(raw, TOKENS * (np.arange(24) != 5)[:, None].astype(np.int32)),
        "a row must have a token that is not 0.\nReceived: tokens[5] is padding alone.",
    ),
    "padding first": (lambda raw: tokens(raw, TOKENS[:, ::-1]), 'tokens after a 0. Pad with padding="post".'),
    "tokens of one axis": (lambda raw: tokens(raw, TOKENS[:, 0]), "tokens must be (num_rows, length)."),
    "no such label": (
        lambda raw: cells(raw, label="specie"),
        "label: must name a column of the file.\n"
        "Received: specie, and columns length, colour, species. Did you mean species?",
    ),
    "semicolons": (lambda raw: cells(raw, CSV.replace(",", ";")), "cells separated by commas."),
    "one class": (lambda raw: cells(raw, "a,species\n1,x\n2,x\n"), "there must be two classes or more."),
    "text among numbers": (
        swapped("3.0,", "long,", ', numeric = ["length"]'),
        "length: must be numbers.\nReceived: long in line 23. Mend it, or name the column in categorical.",
    ),
    "nan": (swapped("3.0,", "NaN,"), "length: must be finite numbers.\nReceived: NaN in line 23."),
    "inf": (swapped("3.0,", "-inf,"), "length: must be finite numbers.\nReceived: -inf in line 23."),
    "missing number": (
        swapped("3.0,", " ,"),
        "length: must have a value in every row.\nReceived: nothing in line 23. Fill it in, or write missing",
    ),
    "missing word": (swapped("0.0,blue", "0.0,"), "colour: must have a value in every row."),
    "missing label": (swapped("0.0,blue,a", "0.0,blue,"), "species: each row must have a label that can be"),
    "empty file": (lambda raw: cells(raw, ""), "must be a table.\nReceived: an empty file."),
    "a header alone": (lambda raw: cells(raw, HEADER), "there must be rows to learn from."),
    "a row cut short": (swapped(FIRST, "0.5,red"), "must have 3 cells, as the first line has.\nReceived: 2"),
    "a surplus cell": (swapped(FIRST, f"{FIRST},x"), "must have 3 cells, as the first line has.\nReceived: "),
    "a name twice": (swapped(HEADER, "length,length,species"), "each column must have a name of its own."),
    "a column without a name": (swapped(HEADER, "length,,species"), "Received: '' for column 2."),
    "Latin-1": (lambda raw: cells(raw, CSV.replace("red", "röd").encode("latin-1")), "must be UTF-8 text."),
    "an open quote": (swapped("0.0,blue", '0.0,"blue'), "must be CSV.\nReceived: unexpected end of data"),
    "too large": (lambda raw: cells(raw, CSV * 40), "must have at most 16,384 bytes."),
    "too many words": (
        lambda raw: cells(raw, "\n".join([HEADER, *(f"1,w{index},{index % 2}" for index in range(1001))])),
        "colour: a column of words must have at most 1,000 of them: each becomes a feature.\nReceived: 1,001",
    ),
    "a label alone": (lambda raw: cells(raw, "species\nx\ny\n"), "must have a column beside the label."),
    "another split": (
        lambda raw: cells(raw, CSV, ', split = "colour"'),
        "split must be train, val or test for each row.\nReceived: split[0] = 'blue'.",
    ),
    "nothing there": (lambda _: '{ csv = "data/raw/no.csv", label = "x" }', "must be a file.\nReceived: no"),
    "no label named": (lambda _: '{ csv = "data/raw/mine.csv" }', "dataset label: must be given: the column"),
    "a label of images": (
        lambda _: '{ npz = "data/raw/mine.npz", label = "x" }',
        "dataset label: must stand beside csv alone.\nReceived: label beside npz. Remove label.",
    ),
    "a column named twice": (
        lambda raw: cells(raw, CSV, ', drop = ["species"]'),
        'dataset: a column must be named once.\nReceived: "species".',
    ),
    "a size of one number": (lambda _: '{ folder = "data/raw/pets", size = 32 }', "size: must be a list."),
    "a size of nothing": (lambda _: '{ folder = "data/raw/pets", size = [0, 9] }', "dataset size[0]: must"),
    "a size of a table": (lambda raw: cells(raw, CSV, ", size = [8, 8]"), "size: must stand beside folder"),
    "another way to fill in": (lambda raw: cells(raw, CSV, ', missing = "impude"'), "Did you mean impute?"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_a_table(
    project: Path, study: Study, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    """The file, the column and the line are named, with a way out."""
    make, message = MISTAKES[mistake]
    monkeypatch.setattr(table, "MAX_BYTES", 2**14)
    assert message in refused_data(project, study, make)


def test_tables_without_a_mistake_are_taken(project: Path, study: Study) -> None:
    """So each refusal above is for its own mistake; what the first line shows is told by check already."""
    raw = project / "data/raw"
    raw.mkdir(parents=True)
    for index, make in enumerate((rows, lambda raw: tokens(raw, TOKENS), cells, FILLED)):
        write_study(project, f"good-{index}", TINY.replace('"digits"', make(raw)))
        assert study("prepare", f"good-{index}")[0] == 0
    write_study(project, "bad", TINY.replace('"digits"', cells(raw, label="specie")))
    assert "Did you mean species?" in refused(project, study, "check", "bad")
