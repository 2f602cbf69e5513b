"""Which values each hyperparameter may take."""

import math

import pytest
from fakes import DEFAULTS, HYPERPARAMETERS
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.space import Choice, Dimension, Range, Space

LAYERS = Dimension("hidden_layers", Range(1, 3, is_int=True))
MODEL = Dimension("model", Choice(("mlp", "cnn")))
FILTERS = Dimension("filters", Choice((8, 16)), ("model", ("cnn",)))
RATE = Dimension("learning_rate", Range(1e-4, 1e-2, is_int=False, log=True))


@pytest.mark.parametrize(("name", "known"), HYPERPARAMETERS.items())
def test_every_default_is_admitted(name, known):
    """A study that states nothing trains the default configuration."""
    assert known.admits(DEFAULTS[name])
    assert type(known.exact(DEFAULTS[name])) is known.kind


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", 0),
        ("learning_rate", -1),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("learning_rate", "0.001"),
        ("learning_rate", 10**400),
        ("dropout", 1.0),
        ("dropout", 1.5),
        ("batch_size", True),
        ("batch_size", 32.0),
        ("batch_size", 10**400),
        ("hidden_layers", -1),
        ("activation", "ReLU"),
        ("activation", ["relu"]),
        ("zoom", {}),
    ],
)
def test_what_cannot_be_trained_is_not_admitted(name, value):
    """Wrong types, truths for numbers, NaN and values outside the bounds are all refused, none raises."""
    assert not HYPERPARAMETERS[name].admits(value)
    assert HYPERPARAMETERS[name].problem(value).must == f"must be {HYPERPARAMETERS[name].bounds()}."


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("learning_rate", "0.01", 'in (0, 10].\nReceived: "0.01". Write it without quotes: 0.01.'),
        ("batch_size", "64", 'in [1, 65536].\nReceived: "64". Write it without quotes: 64.'),
        ("dropout", 1.5, "a number in [0, 1).\nReceived: 1.5. Choose a value in these bounds"),
        (
            "activation",
            "rleu",
            'one of relu, sigmoid, tanh, gelu, swish.\nReceived: "rleu". Did you mean relu?',
        ),
        ("activation", 1, 'one of relu, sigmoid, tanh, gelu, swish.\nReceived: 1. Write "relu".'),
        ("batch_size", "many", 'Received: "many". Choose a value in these bounds; the default is 32.'),
    ],
)
def test_a_value_that_is_not_admitted_is_told_with_a_way_out(name, value, message):
    """The message names the bounds, shows the value as it was written, and says what to write."""
    assert message in str(HYPERPARAMETERS[name].problem(value))


def test_points_are_what_a_person_would_write():
    """Steps are added in exact fractions: the third of 0.1, 0.2, ... is 0.3, and the last is the end."""
    assert Range(0.1, 0.7, is_int=False, step=0.1).points() == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
    assert Range(64, 256, is_int=True, step=64).points() == (64, 128, 192, 256)
    assert Range(1, 3, is_int=True).points() == (1, 2, 3)


@pytest.mark.parametrize("values", [RATE.values, Range(1, 64, is_int=True, log=True), Range(0, 1, False)])
def test_what_has_no_steps_has_no_points(values):
    """A log scale or a range of floats cannot be listed."""
    assert values.points() is None
    assert values.num_points() is None


@pytest.mark.parametrize(
    ("values", "value", "held"),
    [
        (Range(0.1, 0.7, False, step=0.1), 0.1 + 0.1 + 0.1, True),
        (Range(0.1, 0.7, False, step=0.1), 0.35, False),
        (Range(0.0, 1.0, False), 1, True),
        (Range(0.0, 1.0, False), math.nan, False),
        (Range(1, 3, True), 2.0, False),
        (Range(0, 3, True), True, False),
        (Range(1, 3, True), "2", False),
        (Choice((1, 2)), True, False),
        (Choice((1.0, 0.1)), 1, False),
        (Choice(("relu",)), ["relu"], False),
    ],
)
def test_a_dimension_holds_its_own_values_only(values, value, held):
    """Rounding of a sampler's sums is forgiven; another type is not."""
    assert values.holds(value) is held


def test_a_child_counts_only_at_its_parents_value():
    """What does not count is left out of the active values, and so are the children of what does not."""
    deep = Dimension("zoom", Choice((0.1, 0.2)), ("filters", (8,)))
    space = Space((MODEL, FILTERS, deep))
    chosen = {"model": "mlp", "filters": 8, "zoom": 0.1}
    assert space.active(chosen) == {"model": "mlp"}
    assert space.active({**chosen, "model": "cnn"}) == {**chosen, "model": "cnn"}
    assert space.has_parents


def test_a_grid_holds_each_active_assignment_once():
    """A value that does not count makes no point of its own."""
    grid = Space((MODEL, FILTERS)).grid()
    assert grid == [{"model": "mlp"}, {"model": "cnn", "filters": 8}, {"model": "cnn", "filters": 16}]


def test_one_at_a_time_changes_one_value_of_the_baseline():
    """Each other value of each hyperparameter, once; what a change brings into play has its plain value."""
    plain = {"hidden_layers": 2, "model": "mlp", "filters": 8, "batch_size": 32}
    assert Space((LAYERS, MODEL, FILTERS)).one_at_a_time(plain) == [
        {"hidden_layers": 1, "model": "mlp"},
        {"hidden_layers": 3, "model": "mlp"},
        {"hidden_layers": 2, "model": "cnn", "filters": 8},
    ]


def test_a_space_that_cannot_be_counted_has_no_grid():
    """One endless dimension is enough."""
    space = Space((LAYERS, RATE))
    assert space.grid() is None
    assert space.grid_size() is None
    assert space.one_at_a_time({"hidden_layers": 1, "learning_rate": 0.1}) is None


def test_a_giant_grid_is_counted_without_being_made():
    """Counting takes no time and no memory, whatever the number of points."""
    wide = Range(0.0, 1.0, is_int=False, step=1e-6)
    names = ("dropout", "rotation", "zoom", "learning_rate")
    assert Space(tuple(Dimension(name, wide) for name in names)).grid_size() == 1_000_001**4


@st.composite
def spaces(draw):
    """Small countable spaces, some entries hung on values of earlier ones."""
    dimensions: list[Dimension] = []
    for name in draw(st.lists(st.sampled_from("abcde"), max_size=5, unique=True)):
        low, count, step = draw(st.tuples(st.integers(-3, 3), st.integers(1, 3), st.sampled_from([1, 2])))
        values = draw(
            st.sampled_from(
                [Range(low, low + count * step, True, step=step), Choice(tuple(range(low, low + count)))]
            )
        )
        above = draw(st.sampled_from([None, *dimensions]))
        hung = (above.name, tuple(draw(st.sets(st.integers(-3, 3), min_size=1)))) if above else None
        dimensions.append(Dimension(name, values, hung))
    return Space(tuple(dimensions))


@given(spaces())
@settings(deadline=None, database=None, derandomize=True)
def test_the_centre_is_one_point_of_the_grid(space):
    """It holds a value for every hyperparameter that counts there, and for no other."""
    assert space.centre() in space.grid()


@given(st.floats(1e-6, 1e6), st.floats(1e-6, 1e6), st.booleans(), st.booleans())
@settings(deadline=None, database=None, derandomize=True)
def test_the_centre_of_a_range_lies_in_it(one, other, is_log, is_int):
    """However near to one another its ends are."""
    low, high = sorted((one, other))
    values = Range(int(low) + 1, int(high) + 2, True, is_log) if is_int else Range(low, high, False, is_log)
    assert values.holds(values.centre)


@given(spaces())
@settings(deadline=None, database=None, derandomize=True)
def test_a_grid_is_what_its_dimensions_hold(space):
    """Every point is held and active, none comes twice, and counting agrees with making."""
    grid = space.grid()
    assert len(grid) == space.grid_size() == len({tuple(row.items()) for row in grid})
    held = {entry.name: entry.values for entry in space}
    assert all(held[name].holds(value) for row in grid for name, value in row.items())
    assert all(space.active({**dict.fromkeys(space.names, 99), **row}) == row for row in grid)
