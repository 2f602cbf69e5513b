"""Rows of numbers: read, standardised by train alone, described, and encoded alike when a model is asked."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.data import describe, encoded, load, read_raw, read_rows, save, split
from pipeline.data.arrays import Column
from pipeline.data.encoding import encode, fit
from pipeline.errors import DataError, StudyError
from pipeline.learners.networks import Networks
from pipeline.study import Dataset, DataShape, Split

MINE = Dataset(npz="data/raw/mine.npz")
NUM_ROWS = 40
ROWS = (np.random.default_rng(3).normal(5, 3, (NUM_ROWS, 3)) * [1, 1000, 0]).astype(np.float32)
LABELS = np.arange(NUM_ROWS) % 2


@pytest.fixture
def prepared(tmp_path):
    """Raw rows, the third column constant, and what is made of them; the folder that holds it."""
    (tmp_path / "data/raw").mkdir(parents=True)
    np.savez(tmp_path / "data/raw/mine.npz", features=ROWS, labels=LABELS)
    raw = read_raw(MINE, tmp_path)
    whole = split(raw, Split(), seed=1)
    splits, about = encoded(whole, raw)
    save(splits, describe(splits, raw, about), tmp_path / "data/mine")
    return whole, splits, tmp_path / "data/mine"


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


def test_train_has_mean_0_and_deviation_1(prepared):
    """Each column but the constant one; val and test, standardised by train, have others."""
    _, splits, _ = prepared
    train, val = splits.train.inputs, splits.val.inputs
    assert (train.dtype, train.shape) == (np.float32, (26, 3))
    np.testing.assert_allclose(train[:, :2].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(train[:, :2].std(axis=0), 1, atol=1e-6)
    assert np.abs(val[:, :2].mean(axis=0)).min() > 1e-3


def test_a_constant_column_is_0_everywhere():
    """Also where a later row has another value: nothing could be learnt of it."""
    columns = [Column("x")]
    encoding = fit(np.full((5, 1), 0.1), columns)
    assert encoding == [{"name": "x", "mean": 0.1, "deviation": 0.0}]
    assert encode(np.array([[0.1], [7.0]]), columns, encoding).tolist() == [[0.0], [0.0]]


def test_the_card_tells_how_rows_were_encoded(prepared):
    """The kind, the shape, and each column's name, mean and deviation in train; no word of images."""
    whole, _, folder = prepared
    card = card_of(folder)
    assert (card["kind"], card["input_shape"], card["num_rows"]["test"]) == ("features", [3], 8)
    means = whole.train.inputs.astype(np.float64).mean(axis=0).tolist()
    assert [one["name"] for one in card["encoding"]] == ["features[0]", "features[1]", "features[2]"]
    assert [one["mean"] for one in card["encoding"]] == pytest.approx(means)
    assert "image" not in json.dumps(card)
    assert not (folder / "samples.png").exists()


def test_what_is_saved_is_loaded(prepared):
    """As float32, to the last bit, and the shape is known from the card."""
    _, splits, folder = prepared
    test = load(folder, ("test",))["test"]
    np.testing.assert_array_equal(test.inputs, splits.test.inputs)
    assert DataShape.of(card_of(folder)) == DataShape((3,), 2, 26, 6, "features")


def test_a_model_is_asked_in_the_encoding_of_its_card(prepared, tmp_path):
    """Raw rows of .npy and .npz become, bit for bit, what prepare made of them."""
    whole, splits, folder = prepared
    np.save(tmp_path / "test.npy", whole.test.inputs)
    np.savez(tmp_path / "val.npz", features=whole.val.inputs)
    sources = [str(tmp_path / "test.npy"), str(tmp_path / "val.npz")]
    rows, names = read_rows(sources, card_of(folder)["encoding"])
    np.testing.assert_array_equal(rows, np.concatenate([splits.test.inputs, splits.val.inputs]))
    assert names[8] == f"{sources[1]}[0]"


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("a.npy", ROWS[:, :2], "must have 3 columns, as the model learnt them.\nReceived: 2 columns."),
        ("a.npy", ROWS.astype(np.float64), "features: must be float32.\nReceived: dtype float64."),
        ("a.npy", np.where(ROWS > 5, np.nan, ROWS), "features: values must be finite."),
        ("a.txt", ROWS, "must be one of .csv, .npy, .npz."),
    ],
)
def test_other_rows_than_were_learnt_are_refused(prepared, tmp_path, name, array, message):
    """The file is named, and what is wrong with it."""
    with (tmp_path / name).open("wb") as file:
        np.save(file, array)
    with pytest.raises(DataError) as caught:
        read_rows([str(tmp_path / name)], card_of(prepared[2])["encoding"])
    assert str(caught.value).startswith(str(tmp_path / name))
    assert message in str(caught.value)


def test_numbers_that_cannot_be_standardised_are_refused():
    """Whose squares overflow in train; or that are too far from train in another split."""
    with pytest.raises(DataError, match="x: must be numbers whose squares are numbers"):
        fit(np.array([[1e300], [-1e300]]), [Column("x")])
    encoding = fit(np.array([[1.0], [1.1]]), [Column("x")])
    with pytest.raises(DataError, match="x: must be within float32's range once standardised"):
        encode(np.array([[1e300]]), [Column("x")], encoding)


def test_the_encoding_is_part_of_the_datas_hash(prepared, tmp_path):
    """Rows that are the same once standardised, and were others before, are other data."""
    np.savez(tmp_path / "data/raw/mine.npz", features=ROWS * 2, labels=LABELS)
    raw = read_raw(MINE, tmp_path)
    splits, about = encoded(split(raw, Split(), seed=1), raw)
    card = describe(splits, raw, about)
    assert card["arrays"] == card_of(prepared[2])["arrays"]
    assert card["sha256"] != card_of(prepared[2])["sha256"]


STUDY = SimpleNamespace(
    space=SimpleNamespace(names=("zoom",)),
    baseline=SimpleNamespace(configuration={"rotation": 0.1}),
    fixed={},
    compared={},
)


def test_only_families_of_features_train_on_them():
    """Another family and each augmentation are told in one go, with what to do."""
    with pytest.raises(StudyError) as caught:
        Networks(("mlp", "cnn")).examine(STUDY, DataShape((3,), 2, 8, 4, "features"))
    first, *others = str(caught.value).split("\n\n")
    assert first == (
        "model: a family must take the data: cnn takes images.\n"
        'Received: features of shape (3,). Write model = "mlp".'
    )
    assert [one.partition(":")[0] for one in others] == ["rotation", "zoom"]
    Networks(("cnn",)).examine(STUDY, DataShape((8, 8, 1), 2, 8, 4))
