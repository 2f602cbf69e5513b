"""A CSV file: its columns of numbers and words, learnt of train alone, and the same when a model is asked."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.data import describe, encoded, read_raw, read_rows, split
from pipeline.data.arrays import Column
from pipeline.data.encoding import encode, fit
from pipeline.errors import DataError
from pipeline.study import Dataset, Split

HEADER = "id,length,colour,part,species"
TRAIN = ["1,2.0,red,train,cat", "2,4.0,blue,train,dog", "3,6.0,red,train,cat", "4,8.0, red ,train,dog"]
OTHERS = ["5,5.0,green,val,cat", "6,7.5,blue,val,dog", "7,1e1,red,test,cat", "8,.5,red,test,dog"]


def write(folder, lines, header=HEADER):
    path = folder / "data/raw/pets.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *lines]))
    return path


def dataset(**changed):
    plain = {"csv": "data/raw/pets.csv", "label": "species", "split": "part", "drop": ["id"]}
    return Dataset(**{key: value for key, value in {**plain, **changed}.items() if value is not None})


def prepared(folder, lines, **changed):
    """The encoded splits, and their card."""
    write(folder, lines)
    raw = read_raw(dataset(**changed), folder)
    splits, about = encoded(split(raw, Split(), seed=1), raw)
    return splits, describe(splits, raw, about)


def test_numbers_and_words_become_features(tmp_path):
    """Numbers are standardised by train, its words have a column each; spaces around a cell do not count."""
    splits, card = prepared(tmp_path, TRAIN + OTHERS)
    length, blue, red = splits.train.inputs.T.tolist()
    # The mean of 2, 4, 6, 8 is 5, their deviation the root of 5.
    assert length == pytest.approx([-3 / 5**0.5, -1 / 5**0.5, 1 / 5**0.5, 3 / 5**0.5])
    assert (blue, red) == ([0, 1, 0, 0], [1, 0, 1, 1])
    assert (splits.train.labels.tolist(), card["classes"]) == ([0, 1, 0, 1], ["cat", "dog"])
    assert card["encoding"] == [
        {"name": "length", "mean": 5.0, "deviation": 5**0.5},
        {"name": "colour", "words": ["blue", "red"]},
    ]


def test_a_word_that_train_does_not_have_is_0_in_all_columns(tmp_path):
    """The card counts such words in each split."""
    splits, card = prepared(tmp_path, TRAIN + OTHERS)
    assert splits.val.inputs[:, 1:].tolist() == [[0, 0], [1, 0]]
    assert card["unseen"] == {"train": {}, "val": {"colour": 1}, "test": {}}


def test_what_is_missing_is_filled_in_from_train(tmp_path):
    """The median and the most frequent word of train, and the card says so."""
    holes = ["9,,red,train,dog", "10,9.0,,test,dog"]
    splits, card = prepared(tmp_path, TRAIN + OTHERS + holes, missing="impute")
    assert [one["fill"] for one in card["encoding"]] == [5.0, "red"]
    assert splits.train.inputs[4, 0] == 0.0
    assert splits.test.inputs[2, 1:].tolist() == [0, 1]
    assert card["missing"] == {"train": {"length": 1}, "val": {}, "test": {"colour": 1}}


def test_numbers_may_be_taken_for_words(tmp_path):
    """Where `categorical` names the column; what it would be otherwise follows from its cells."""
    write(tmp_path, TRAIN + OTHERS)
    plain, told = (read_raw(one, tmp_path) for one in (dataset(), dataset(categorical=["length"])))
    assert [column.words is None for column in plain.columns] == [True, False]
    assert told.columns[0].words == (".5", "1e1", "2.0", "4.0", "5.0", "6.0", "7.5", "8.0")


def test_classes_that_are_whole_numbers_are_in_their_order(tmp_path):
    """9 comes before 10."""
    lines = [f"{index},{index}.5,red,train,{9 + index % 2}" for index in range(4)]
    write(tmp_path, lines)
    assert read_raw(dataset(split=None, drop=["id", "part"]), tmp_path).classes == ("9", "10")


def test_cells_in_quotes_may_hold_commas_and_lines(tmp_path):
    """And the line that a message names is the file's."""
    write(tmp_path, [*TRAIN, '5,1.0,"dark,\nred",val,cat', "", "6,x,red,val,dog"])
    with pytest.raises(DataError, match=r"length: must be numbers.\nReceived: x in line 9"):
        read_raw(dataset(numeric=["length"]), tmp_path)
    words = read_raw(dataset(), tmp_path).columns[1].words
    assert words == ("blue", "dark,\nred", "red")


def test_the_same_row_in_two_given_splits_is_refused(tmp_path):
    """As images are, with the two lines."""
    write(tmp_path, [*TRAIN, *OTHERS, "9,6.0,red,test,dog"])
    with pytest.raises(DataError, match="the same row must not be in train and test") as caught:
        read_raw(dataset(), tmp_path)
    assert "1 in both, the first as line 4 and line 10" in str(caught.value)


def test_a_model_is_asked_in_the_encoding_of_its_card(tmp_path):
    """A file with the columns in another order, others beside them, and neither label nor split."""
    splits, card = prepared(tmp_path, TRAIN + OTHERS)
    path = write(tmp_path, ["blue,x,7.5", "green,y,5.0"], "colour,other,length")
    rows, names = read_rows([str(path)], card["encoding"])
    np.testing.assert_array_equal(rows, splits.val.inputs[::-1])
    assert names == [f"{path} line 2", f"{path} line 3"]


@pytest.mark.parametrize(
    ("header", "line", "message"),
    [
        (
            "colour,lenght",
            "red,1",
            "length: the column must be there: the model learnt it.\nReceived: nothing. D",
        ),
        ("colour,length", "red,", "length: must have a value in every row.\nReceived: nothing in line 2."),
        ("colour,length", "red,long", "length: must be numbers.\nReceived: long in line 2."),
        ("colour,length", "red,inf", "length: must be finite numbers."),
    ],
)
def test_other_columns_than_were_learnt_are_refused(tmp_path, header, line, message):
    """The file is named, the column and the line."""
    _, card = prepared(tmp_path, TRAIN + OTHERS)
    path = write(tmp_path, [line], header)
    with pytest.raises(DataError) as caught:
        read_rows([str(path)], card["encoding"])
    assert str(caught.value).startswith(f"{path}: {message}")


def test_an_array_has_no_words(tmp_path):
    """A model that learnt words is asked with a CSV file alone."""
    np.save(tmp_path / "rows.npy", np.zeros((2, 2), np.float32))
    _, card = prepared(tmp_path, TRAIN + OTHERS)
    with pytest.raises(
        DataError, match=r"must have columns of numbers alone.\nReceived: features, and words in c"
    ):
        read_rows([str(tmp_path / "rows.npy")], card["encoding"])


def test_a_column_without_a_value_in_train_is_refused():
    """There is nothing to fill in with."""
    with pytest.raises(DataError, match="x: must have a value in train"):
        fit(np.array([[np.nan]]), [Column("x", None, True)])


def test_features_beyond_memory_are_refused(monkeypatch):
    """Before they are made."""
    monkeypatch.setattr("pipeline.data.encoding.MAX_BYTES", 15)
    with pytest.raises(
        DataError, match=r"features must take at most 15 bytes.\nReceived: 2 rows of 2 features"
    ):
        encode(np.zeros((2, 1)), [Column("x", ("a", "b"))], [{"name": "x", "words": ["a", "b"]}])
