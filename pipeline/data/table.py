"""A person's own table: a CSV file with a column of labels, its cells read as text and converted here.

pandas' reader fills up short rows, takes surplus cells for an index, renames columns of one name and knows
twenty words for nothing; here each of these is told, with its line.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.data.arrays import Column, RawData
from pipeline.data.encoding import Encoding
from pipeline.data.places import must_be_file, refuse_archive
from pipeline.errors import DataError, nearest
from pipeline.study import Dataset

# A cell takes ten times its bytes in memory while it is text.
MAX_BYTES = 256 * 2**20
MAX_WORDS = 1_000
FORM = "Save it as CSV in UTF-8: a line of column names, then a line for each row, cells separated by commas."


class Table(NamedTuple):
    """The cells of a CSV file, without the spaces around them.

    Attributes:
        columns: column name to its cells, (num_rows,).
        lines: (num_rows,) the line on which each row ends, in words.
    """

    columns: dict[str, list[str]]
    lines: tuple[str, ...]


def read_csv(path: Path, dataset: Dataset) -> RawData:
    """The rows of a CSV file: columns of numbers and of words, labels and, where one is named, the split.

    A column is of numbers if `numeric` names it, or if each of its cells is one; of words if `categorical`
    names it, or otherwise. What is missing, an empty cell, is NaN.

    Raises:
        DataError: the file is no such table, lacks a named column, or has a cell that its column cannot hold.
    """
    table = _table(path)
    _check_named(list(table.columns), dataset)
    label, beside = str(dataset.label), {dataset.label, dataset.split, *(dataset.drop or ())}
    names = [name for name in table.columns if name not in beside]
    if not names:
        advice = "Add a column of what the model is to learn from."
        raise DataError.of("must have a column beside the label.", ", ".join(table.columns), advice)
    given = {**dict.fromkeys(dataset.numeric or (), True), **dict.fromkeys(dataset.categorical or (), False)}
    found = [_column(name, table, given.get(name), dataset.missing is not None) for name in names]
    labels, classes = _labels(label, table)
    split = np.array(table.columns[dataset.split], dtype=np.str_) if dataset.split else None
    inputs = np.stack([values for _, values in found], axis=1)
    columns = tuple(column for column, _ in found)
    return RawData(inputs, labels, classes, split, table.lines, "features", columns)


def check_csv(path: Path, dataset: Dataset) -> None:
    """Raise unless the first line of a CSV file has the columns that the study file names.

    Raises:
        DataError: see `read_csv`.
    """
    header, _ = next(_rows(path))
    _check_named(header, dataset)


def read_csv_rows(
    path: Path, encoding: Encoding
) -> tuple[NDArray[np.float64], list[Column], tuple[str, ...]]:
    """The columns of an encoding, in its order, of a CSV file that may have others too, and each row's name.

    Raises:
        DataError: see `read_csv`.
    """
    table = _table(path)
    for one in encoding:
        if one["name"] not in table.columns:
            advice = nearest(one["name"], table.columns)
            raise DataError.of(
                "the column must be there: the model learnt it.", "nothing", advice, one["name"]
            )
    found = [_column(one["name"], table, "words" not in one, "fill" in one) for one in encoding]
    return np.stack([values for _, values in found], axis=1), [column for column, _ in found], table.lines


def _table(path: Path) -> Table:
    rows = _rows(path)
    header, _ = next(rows)
    cells: list[list[str]] = []
    lines: list[str] = []
    for row, line in rows:
        if len(row) != len(header):
            received = f"{len(row)} cells in {line}"
            raise DataError.of(
                f"every row must have {len(header)} cells, as the first line has.", received, FORM
            )
        cells.append(row)
        lines.append(line)
    if not cells:
        raise DataError.of("there must be rows to learn from.", "a line of column names alone", "Add rows.")
    columns = {
        name: [cell.strip() for cell in column]
        for name, column in zip(header, zip(*cells, strict=True), strict=True)
    }
    return Table(columns, tuple(lines))


def _rows(path: Path) -> Iterator[tuple[list[str], str]]:
    """The column names, then each row's cells, with the line on which they end; empty lines do not count."""
    must_be_file(path)
    refuse_archive(path)
    size = path.stat().st_size
    if size > MAX_BYTES:
        advice = "Save it as features in a .npz file, or leave columns out."
        raise DataError.of(f"must have at most {MAX_BYTES:,} bytes.", f"{size:,}", advice)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = [name.strip() for name in next(filter(None, reader), [])]
            _check_header(header)
            yield header, "line 1"
            for row in filter(None, reader):
                yield row, f"line {reader.line_num}"
        except UnicodeDecodeError as error:
            received = f"{error.reason} at byte {error.start:,} after line {reader.line_num}"
            raise DataError.of("must be UTF-8 text.", received, FORM) from error
        except csv.Error as error:
            received = f"{error} in line {reader.line_num}"
            raise DataError.of("must be CSV.", received, FORM) from error


def _check_header(header: list[str]) -> None:
    if not header:
        raise DataError.of("must be a table.", "an empty file", FORM)
    for place, name in enumerate(header, 1):
        if not name or not name.isprintable():
            must = "each column must have a printable name on the first line."
            raise DataError.of(must, f"{name!r} for column {place}", "Name it.")
    if twice := [name for name in header if header.count(name) > 1]:
        raise DataError.of(
            "each column must have a name of its own.", f"{twice[0]} twice", "Rename one of them."
        )


def _check_named(header: list[str], dataset: Dataset) -> None:
    lists = {key: getattr(dataset, key) or [] for key in ("numeric", "categorical", "drop")}
    lists |= {"label": [dataset.label], "split": [dataset.split] if dataset.split else []}
    for key, names in lists.items():
        for name in names:
            if name not in header:
                received = f"{name}, and columns {', '.join(header)}"
                is_one = len(header) == 1 and any(sign in header[0] for sign in ";\t|")
                advice = FORM if is_one else nearest(name, header)
                raise DataError.of("must name a column of the file.", received, advice, key)


def _column(
    name: str, table: Table, is_numeric: bool | None, is_filled: bool
) -> tuple[Column, NDArray[np.float64]]:
    """A column and its values (num_rows,): numbers, or the places of its words; NaN where a cell is empty."""
    cells, lines = table.columns[name], table.lines
    empty = next((line for cell, line in zip(cells, lines, strict=True) if not cell), None)
    if empty and not is_filled:
        advice = 'Fill it in, or write missing = "impute" in [dataset].'
        raise DataError.of("must have a value in every row.", f"nothing in {empty}", advice, name)
    if is_numeric or (is_numeric is None and all(map(_is_number, filter(None, cells)))):
        return Column(name, None, is_filled), _numbers(name, cells, lines)
    words = tuple(sorted({cell for cell in cells if cell}))
    if len(words) > MAX_WORDS:
        must = f"a column of words must have at most {MAX_WORDS:,} of them: each becomes a feature."
        raise DataError.of(
            must, f"{len(words):,}", "Write drop for it in [dataset], or mend its numbers.", name
        )
    places = {"": np.nan, **{word: float(place) for place, word in enumerate(words)}}
    return Column(name, words, is_filled), np.array([places[cell] for cell in cells])


def _is_number(cell: str) -> bool:
    """Whether a cell is a number, finite or not; Python alone takes 1_000 for one."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def _numbers(name: str, cells: Sequence[str], lines: Iterable[str]) -> NDArray[np.float64]:
    values = np.full(len(cells), np.nan)
    for index, (cell, line) in enumerate(zip(cells, lines, strict=True)):
        if not cell:
            continue
        if not _is_number(cell):
            advice = "Mend it, or name the column in categorical."
            raise DataError.of("must be numbers.", f"{cell} in {line}", advice, name)
        values[index] = float(cell)
        if not np.isfinite(values[index]):
            advice = 'Mend it, or leave the cell empty and write missing = "impute" in [dataset].'
            raise DataError.of("must be finite numbers.", f"{cell} in {line}", advice, name)
    return values


def _labels(name: str, table: Table) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels (num_rows,) and the classes' names in their order: whole numbers by size, words by letters."""
    cells = table.columns[name]
    for cell, line in zip(cells, table.lines, strict=True):
        if not cell or not cell.isprintable():
            must = "each row must have a label that can be printed."
            raise DataError.of(must, f"{cell!r} in {line}", "Fill it in, or remove the row.", name)
    words = set(cells)
    is_whole = all(word.isdecimal() for word in words)
    classes = tuple(sorted(words, key=lambda word: (int(word), word) if is_whole else (0, word)))
    places = {word: place for place, word in enumerate(classes)}
    return np.array([places[cell] for cell in cells], dtype=np.int64), classes
