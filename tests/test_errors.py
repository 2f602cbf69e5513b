"""What every message of the project looks like."""

import pickle

import pytest

from pipeline.errors import (
    MAX_SHOWN,
    DataError,
    PipelineError,
    Problem,
    StoreError,
    StudyError,
    TrialError,
    as_key,
    as_toml,
    hidden,
    nearest,
    scrubbed,
    shortened,
)


def test_a_problem_reads_where_must_received_advice():
    """A message is two lines: where and what must hold, then what was received and what to do."""
    problem = Problem("must be at least 1.", "0", "Write trials = 40.", "[search] trials")
    assert str(problem) == "[search] trials: must be at least 1.\nReceived: 0. Write trials = 40."


def test_a_place_goes_in_front_of_the_place_that_is_there():
    """The floor that knows the path puts it before the table that the lower floor named."""
    error = StudyError.of("must be above 0.", -1, "Raise it.", "[search] minutes").at("study.toml")
    assert str(error).startswith("study.toml: [search] minutes: must be above 0.\nReceived: -1.")


def test_a_problem_without_a_place_begins_with_the_rule():
    """A lower floor may leave the place to the floor that knows it."""
    error = DataError.of("must be there.", "nothing", "Prepare it.")
    assert str(error) == "must be there.\nReceived: nothing. Prepare it."
    assert str(error.at("data.npz")).startswith("data.npz: must be there.")


@pytest.mark.parametrize("kind", [StudyError, DataError, StoreError, TrialError])
def test_every_error_is_one_tree_and_survives_a_pipe(kind):
    """An error raised in a worker arrives whole: its kind, its problems, its words."""
    error = kind.of("must hold.", "this", "Do that.", "here").at("there")
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes, a moment old
    assert isinstance(copy, PipelineError)
    assert (type(copy), str(copy), copy.problems) == (kind, str(error), error.problems)


def test_several_problems_stand_apart():
    """Problems found in one go are told in one go, an empty line between two."""
    first, second = Problem("a.", "1", "x."), Problem("b.", "2", "y.")
    assert str(StudyError(first, second)) == f"{first}\n\n{second}"


def test_a_thousand_problems_do_not_flood_a_screen():
    """Beyond a screenful the message counts; the error itself holds them all."""
    error = StudyError(*[Problem("a.", "1", "x.")] * 1000)
    assert str(error).count("Received") == MAX_SHOWN
    assert str(error).endswith(f"And {1000 - MAX_SHOWN} more problems.")
    assert len(error.problems) == 1000


def test_what_was_received_cannot_steer_a_terminal():
    """Escape sequences, line breaks and writing direction marks are shown, not obeyed."""
    hostile = "a\x1b[31m\x07\u202eb"
    text = str(Problem(hostile, f"{hostile}\n\nx", hostile, hostile))
    assert text.count("\n") == 1
    assert text.count(r"a\x1b[31m\x07\u202eb") == 4


def test_a_message_is_short_whatever_was_received():
    """No value makes a message longer than a few lines of a terminal."""
    assert len(shortened("x" * 10_000)) == 200
    assert len(str(Problem("m" * 9_999, "r" * 9_999, "a" * 9_999))) < 1_300


@pytest.mark.parametrize("value", [10**5_000, [10**5_000]], ids=["int", "list"])
def test_a_value_that_python_will_not_print_is_named_by_its_type(value):
    """A whole number beyond Python's limit for text is told without a second error."""
    assert shortened(value) == f"a value too large to print ({type(value).__name__})"


def test_a_value_nested_too_deep_is_told_so():
    """A value that printing would recurse into for ever is told without a second error."""
    value: list = []
    for _ in range(100_000):
        value = [value]
    assert as_toml(value) == "a value nested too deep to print"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        ("re\tlu", '"re\\tlu"'),
        (1e-05, "1e-05"),
        (float("nan"), "nan"),
        ([1, "a", [False]], '[1, "a", [false]]'),
        ({"float": [0, 0.5], "a b": 1}, '{ float = [0, 0.5], "a b" = 1 }'),
        ({}, "an empty table"),
    ],
)
def test_a_value_is_shown_as_a_study_file_spells_it(value, text):
    """What a message says was received, a person can find in the file."""
    assert as_toml(value) == text


@pytest.mark.parametrize(
    ("key", "text"), [("batch_size", "batch_size"), ("", '""'), ("a.b", '"a.b"'), ("x" * 99, "x" * 59 + "…")]
)
def test_a_key_is_shown_as_a_study_file_spells_it(key, text):
    """Bare where TOML allows it, else in quotes."""
    assert as_key(key) == text


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("reul", "Did you mean relu?"),
        ("ReLU", "Did you mean relu?"),
        ("mnist_sample", "Did you mean mnist-sample?"),
        ("xyz", "Known: mnist-sample, relu."),
    ],
)
def test_a_misspelt_word_gets_the_nearest_known_one(word, hint):
    """Capitals and dashes do not matter; where nothing is near, all known words are listed."""
    assert nearest(word, ["relu", "mnist-sample"]) == hint


def test_where_nothing_is_known_the_word_is_to_be_removed():
    """An empty list of known words makes no empty sentence."""
    assert nearest("x", []) == "Remove it."


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("http://me:s3cret@host:5000", "http://***@host:5000"),
        ("https://s3cret-token@host/x", "https://***@host/x"),
        ("postgresql+psycopg2://me:s3c/r@t?@host/db", "postgresql+psycopg2://***@host/db"),
        ("postgresql://host/db?user=me&password=s3cret", "postgresql://host/db?***"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db"),
        ("sqlite+pysqlcipher://:s3cret@/mlflow.db", "sqlite+pysqlcipher://***@/mlflow.db"),
        ("postgresql:///db?password=s3cret", "postgresql:///db?***"),
        ("me:s3cret@host/db", "***@host/db"),
        ("mlruns/optuna.db", "mlruns/optuna.db"),
    ],
)
def test_a_password_in_an_address_is_hidden(uri, shown):
    """User, password and query of an address are not shown; the rest is."""
    assert hidden(uri) == shown


@pytest.mark.parametrize(
    "uri",
    [
        "http://me:s3cret@host:5000",
        "http://me:p%40s3cret@host:5000",
        "http://me:p@s3cret@host:5000",
        "http://s3cret@host",
        "postgresql://host/db?password=s3cret",
        "postgresql:///db?user=me&sslPassword=s3cret",
        "me:s3cret@host/db",
    ],
)
def test_a_password_in_a_reason_is_hidden(uri):
    """What an error says is shown without the address's password, however it is spelt there."""
    reason = f"cannot reach {uri}/api: login p@s3cret, s3cret, {uri.rpartition('://')[2]} refused"
    assert "s3cret" not in scrubbed(reason, uri)
    assert "refused" in scrubbed(reason, uri)
