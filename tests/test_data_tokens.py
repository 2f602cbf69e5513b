"""Rows of tokens: read, described, and asked about; what networks make of them, padding passed over."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.data import describe, encoded, load, read_raw, read_tokens, save, split
from pipeline.errors import DataError, StudyError
from pipeline.learners.networks import Networks
from pipeline.study import Dataset, DataShape, Split

MINE = Dataset(npz="data/raw/mine.npz")
CHANCE = np.random.default_rng(5)
TOKENS = np.where(np.arange(6) < CHANCE.integers(2, 7, (40, 1)), CHANCE.integers(1, 20, (40, 6)), 0)
TOKENS = TOKENS.astype(np.int32)
TOKENS[0, 0] = 20
PLAIN = SimpleNamespace(
    fixed={}, baseline=SimpleNamespace(configuration={}), space=SimpleNamespace(names=()), compared={}
)
SHAPE = DataShape((6,), 2, 26, 6, "tokens", 21)


@pytest.fixture
def prepared(tmp_path):
    """The splits, and the folder that holds them."""
    (tmp_path / "data/raw").mkdir(parents=True)
    np.savez(tmp_path / "data/raw/mine.npz", tokens=TOKENS, labels=np.arange(40) % 2)
    raw = read_raw(MINE, tmp_path)
    splits, about = encoded(split(raw, Split(), seed=1), raw)
    save(splits, describe(splits, raw, about), tmp_path / "data/mine")
    return splits, tmp_path / "data/mine"


def test_tokens_are_kept_as_they_are(prepared):
    """As int32; the card tells how many there may be, and what is known of data before they are opened."""
    splits, folder = prepared
    card = json.loads((folder / "card.json").read_text())
    assert (card["kind"], card["encoding"], card["num_rows"]["train"]) == ("tokens", {"vocabulary": 21}, 26)
    assert DataShape.of(card) == SHAPE
    test = load(folder, ("test",))["test"].inputs
    assert (test.dtype, test.shape) == (np.int32, (8, 6))
    np.testing.assert_array_equal(test, splits.test.inputs)


def test_a_model_is_asked_with_tokens_that_it_learnt(tmp_path):
    """Of the same length, below the same vocabulary."""
    np.save(tmp_path / "a.npy", TOKENS)
    np.savez(tmp_path / "b.npz", tokens=TOKENS[:2])
    rows, names = read_tokens([str(tmp_path / "a.npy"), str(tmp_path / "b.npz")], 6, 21)
    np.testing.assert_array_equal(rows, np.concatenate([TOKENS, TOKENS[:2]]))
    assert names[-1].endswith("b.npz[1]")
    with pytest.raises(
        DataError, match=r"a.npy: tokens must be below 20, as the model learnt them.\nReceived: 20"
    ):
        read_tokens([str(tmp_path / "a.npy")], 6, 20)
    with pytest.raises(DataError, match=r"a.npy: must have 7 tokens a row, as the model learnt them."):
        read_tokens([str(tmp_path / "a.npy")], 7, 21)


@pytest.mark.parametrize("name", ["rnn", "transformer"])
def test_the_vector_of_padding_changes_nothing(name):
    """Whatever stands in the table for 0, the answers are the same; for a token they are others."""
    learner = Networks((name,)).given(SHAPE)
    plain = {key: one.default for key, one in learner.hyperparameters.items()}
    configuration = {**plain, "model": name, "recurrent_units": 4, "width": 4, "heads": 2, "depth": 1}
    model = learner.build(configuration, SHAPE.input_shape, SHAPE.num_classes, lambda _: 1)
    before, table = model.predict(TOKENS, verbose=0), model.get_layer("embedded")
    for token, is_same in ((0, True), (int(TOKENS[1, 0]), False)):
        vectors = table.get_weights()[0]
        vectors[token] += 9
        table.set_weights([vectors])
        assert np.array_equal(model.predict(TOKENS, verbose=0), before) == is_same


def test_a_study_of_tokens_takes_families_that_read_them():
    """Their cost grows with the length; the others are refused, with one that would do."""
    for name in ("rnn", "transformer"):
        learner = Networks((name,))
        plain = {key: one.default for key, one in learner.hyperparameters.items()} | {"model": name}
        assert 0 < learner.cost(plain, SHAPE) < learner.cost(plain, SHAPE._replace(input_shape=(12,)))
    with pytest.raises(StudyError, match=r"mlp takes images and features.\nReceived: tokens of shape \(6,\)"):
        Networks(("mlp",)).examine(PLAIN, SHAPE)
