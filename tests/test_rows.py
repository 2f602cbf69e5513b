"""The small result files: exact numbers, the same bytes each time, nothing that a spreadsheet would run."""

import csv
import io

import pytest
from fakes import GRID, METRICS, MIXED, assignment, loop, outcome, trial
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records.rows import curve_rows, read_rows, trial_columns, trial_row, values_of, write_rows
from pipeline.space import Choice, Dimension, Space
from pipeline.trial import Outcome


@pytest.fixture
def path(tmp_path):
    return tmp_path / "rows.csv"


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_exact(number, tmp_path_factory):
    """Read again it is the same to the last bit."""
    path = tmp_path_factory.getbasetemp() / "number.csv"
    write_rows(path, ["score"], [{"score": number}])
    assert float(read_rows(path)[0]["score"]) == number


def test_the_same_rows_are_the_same_bytes(path):
    """Columns in their order, Unix line ends, empty cells for what is missing or None."""
    write_rows(path, ["a", "b", "c"], [{"a": 1, "c": None}, {"b": "x"}])
    assert path.read_bytes() == b"a,b,c\n1,,\n,x,\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1"])
def test_nothing_is_a_formula(path, text):
    """A reason that begins like one gets an apostrophe; a negative number stays a number."""
    write_rows(path, ["reason", "score"], [{"reason": text, "score": -0.5}])
    [_, cells] = csv.reader(io.StringIO(path.read_text(), newline=""))
    assert cells == [f"'{text}", "-0.5"]


@given(text=st.text() | st.from_regex(r"'{0,3}[=+@\t\n\r-]?.*", fullmatch=True))
def test_a_text_is_read_as_it_was_written(text, tmp_path_factory):
    """Whatever it begins with, an apostrophe too; only a carriage return has become a line end."""
    path = tmp_path_factory.getbasetemp() / "text.csv"
    write_rows(path, ["reason", "score"], [{"reason": text, "score": -0.5}])
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    assert read_rows(path) == [{"reason": plain, "score": "-0.5"}]


@pytest.mark.parametrize("text", ["'", "''", "'a=1", "a'=1", "it's", "1-1", " =1"])
def test_a_text_that_is_no_formula_keeps_its_bytes(path, text):
    """An apostrophe is added where a spreadsheet would run the text, and nowhere else."""
    write_rows(path, ["reason"], [{"reason": text}])
    assert path.read_text() == f"reason\n{text}\n"
    assert read_rows(path) == [{"reason": text}]


def test_a_choice_that_begins_like_a_formula_is_read(path):
    """Its cell is inert, and its value is the very one of the space."""
    texts = ("-1x", "+a", "@x", "=1", "'=1", "''-1x")
    space = Space((Dimension("activation", Choice(texts)),))
    write_rows(path, space.names, [{"activation": text} for text in texts])
    assert [values_of(row, space)["activation"] for row in read_rows(path)] == list(texts)


def test_a_row_of_other_length_stays_what_it_is(path):
    """Cells beyond the columns, and columns without a cell, are for the reader to judge."""
    path.write_text("a,b\n'=1\n'=1,2,'=3\n")
    assert read_rows(path) == [{"a": "=1", "b": None}, {"a": "=1", "b": "2", None: ["'=3"]}]


def test_any_reason_fits_in_a_cell(path):
    """Commas, quotes, line ends and other alphabets come back as they were."""
    reason = 'ValueError: "a", b\nand: ñ ü 数'
    write_rows(path, ["reason"], [{"reason": reason}])
    assert read_rows(path) == [{"reason": reason}]


def test_a_carriage_return_ends_no_row(path):
    """It becomes a line end inside the cell."""
    write_rows(path, ["reason", "score"], [{"reason": "one\rtwo\r\nthree", "score": 1}])
    assert read_rows(path) == [{"reason": "one\ntwo\nthree", "score": "1"}]


def test_a_trial_is_a_row():
    """Its values that count, how far it was trained, the last epoch's metrics."""
    curve = ({"loss": 2.0, "val_accuracy": 0.1}, {"loss": 1.0, "val_accuracy": 0.2})
    pruned = Outcome(trial(7, epochs=5, dropout=0.1), "pruned", curve, 0.2, "pruned at epoch 2")
    assert trial_row("relu", pruned, METRICS) == {
        "arm": "relu",
        "number": 7,
        "state": "pruned",
        "dropout": 0.1,
        "epochs": 2,
        "loss": 1.0,
        "accuracy": None,
        "val_loss": None,
        "val_accuracy": 0.2,
        "score": 0.2,
        "reason": "pruned at epoch 2",
    }


def test_a_failed_trial_is_a_row_too():
    """It has no metrics, but its values and its reason."""
    row = trial_row("relu", outcome(1, state="failed", reason="diverged"), METRICS)
    assert (row["epochs"], row["val_accuracy"], row["score"], row["reason"]) == (0, None, None, "diverged")


def test_a_curve_is_a_row_an_epoch():
    """Epochs from 1, the trial's names in front."""
    first, second = curve_rows({"arm": "relu"}, outcome(1, 0.25, 0.5), METRICS)
    assert (first["arm"], first["epoch"], first["val_accuracy"]) == ("relu", 1, 0.25)
    assert (second["epoch"], second["val_accuracy"], second["loss"]) == (2, 0.5, None)


@pytest.mark.parametrize("space", [MIXED, GRID], ids=["mixed", "grid"])
def test_values_are_read_in_the_types_of_the_space(path, space):
    """From trials.csv come the very values that the engine proposed, and only those that count."""
    outcomes = loop(assignment(space=space)).run()
    write_rows(path, trial_columns(space, METRICS), [trial_row("arm", one, METRICS) for one in outcomes])
    read = [values_of(row, space) for row in read_rows(path)]
    assert read == [one.trial.values for one in outcomes]
    assert list(map(repr, read)) == [repr(one.trial.values) for one in outcomes]


def test_a_choice_of_numbers_comes_back_as_numbers(path):
    """A rate of 1.0 is no 1, and 0.00001 is found in whatever way it is written."""
    rates = Space(
        (Dimension("learning_rate", Choice((1.0, 1e-05))), Dimension("batch_size", Choice((1, 32))))
    )
    write_rows(path, rates.names, [{"learning_rate": 1.0, "batch_size": 1}, {"learning_rate": 1e-05}])
    first, second = (values_of(row, rates) for row in read_rows(path))
    assert repr(first) == "{'learning_rate': 1.0, 'batch_size': 1}"
    assert second == {"learning_rate": 1e-05}


@pytest.mark.parametrize(
    "row",
    [
        {"model": "rnn", "filters": "", "dropout": "0.1"},
        {"model": "mlp", "dropout": "0.1"},
        {"model": "cnn", "filters": "9", "dropout": "0.1"},
        {"model": "mlp", "filters": "", "dropout": "much"},
        {"model": "mlp", "filters": "", "dropout": "0.9"},
    ],
)
def test_a_row_of_another_space_is_no_row_of_this_one(row):
    """A choice, a column, a step, a number or an end that the space does not have."""
    with pytest.raises((KeyError, ValueError)):
        values_of(row, GRID)


def test_a_spreadsheet_reads_the_file(path):
    """The columns are those of trials.csv, each once."""
    write_rows(path, trial_columns(GRID, METRICS), [])
    [columns] = csv.reader(path.read_text().splitlines())
    assert columns[:6] == ["arm", "number", "state", "model", "filters", "dropout"]
    assert len(set(columns)) == len(columns)
