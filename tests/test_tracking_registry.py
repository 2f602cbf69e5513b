"""The registry on a SQLite store: a winner is registered once, found by its alias, loaded from its file."""

from pathlib import Path

import numpy as np
import pytest
from test_tracking import FACTS, blank, client, local_uri, mlruns, runs, tracker

from pipeline.errors import StoreError
from pipeline.tracking.registry import Champion, champion, fetch_model, promote, register_winner
from pipeline.training.fit import KerasModel

__all__ = ["blank", "client", "mlruns"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
    # Keras 3.15 converts its variables with NumPy's old protocol when it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
]

IMAGES = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    keras = pytest.importorskip("keras")
    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Flatten(),
        keras.layers.Dense(10, activation="softmax"),
    ]
    return keras.Sequential([keras.Input((8, 8, 1), dtype="uint8"), *layers])


@pytest.fixture
def registered(mlruns, model):
    """A function that registers the model under a fingerprint."""
    with tracker(mlruns):
        pass

    def register(fingerprint):
        return register_winner(
            local_uri(mlruns),
            mlruns / "artifacts",
            FACTS,
            model=KerasModel(model),
            input_example=IMAGES,
            fingerprint=fingerprint,
            tags={"configuration": "{}"},
            description="Of 5 repeats the median one.",
            metrics={"winner_test_accuracy": 0.98},
            requirements=["keras==3.15.1"],
        )

    return register


def test_a_winner_is_registered_with_its_run(registered, client):
    """The version carries fingerprint, tags and the file's SHA-256, and its source is the stage's run."""
    winner = registered("f1")
    version = client.get_model_version("toy", str(winner.version))
    assert version.tags["fingerprint"] == "f1"
    assert version.tags["model_sha256"] == winner.tags["model_sha256"]
    [parent], _ = runs(client)
    assert version.run_id == parent.info.run_id
    assert parent.outputs.model_outputs
    assert parent.data.metrics["winner_test_accuracy"] == 0.98


def test_a_registered_model_says_what_it_takes(registered, client):
    """Signature, input example and pinned packages are in the model's folder."""
    from mlflow.models import Model

    winner = registered("f1")
    folder = client.get_model_version_download_uri("toy", str(winner.version)).removeprefix("file://")
    described = Model.load(folder)
    assert described.signature.inputs.inputs[0].shape == (-1, 8, 8, 1)
    assert described.signature.inputs.inputs[0].type == np.dtype("uint8")
    assert described.saved_input_example_info["artifact_path"] == "input_example.json"
    assert "keras==3.15.1" in Path(folder, "requirements.txt").read_text().split()


def test_the_same_winner_is_registered_once(registered):
    """A winner that is there already is returned; another winner is the next version."""
    assert registered("f1") == registered("f1")
    assert registered("f2").version == 2


def test_a_winner_loads_from_its_keras_file(registered, mlruns, model, tmp_path):
    """The file alone, loaded in safe mode, gives the same predictions."""
    import keras

    winner = registered("f1")
    uri = local_uri(mlruns)
    file = fetch_model(uri, "toy", winner, tmp_path / "fetched")
    loaded = keras.saving.load_model(file, safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(IMAGES, verbose=0), model.predict(IMAGES, verbose=0))


def test_a_changed_file_is_not_handed_out(registered, mlruns, tmp_path):
    """A file whose SHA-256 is not the one that the caller knows is refused, and no copy stays."""
    winner = registered("f1")
    known = Champion(winner.version, {**winner.tags, "model_sha256": "0" * 64})
    with pytest.raises(StoreError, match="must be the one that was registered"):
        fetch_model(local_uri(mlruns), "toy", known, tmp_path / "fetched")
    assert not list((tmp_path / "fetched").rglob("*.keras"))


def test_there_is_no_champion_before_one_is_crowned(registered, mlruns, tmp_path):
    """No store, no model and no alias all mean: no champion. A promoted version is the champion."""
    uri = local_uri(mlruns)
    assert champion(local_uri(tmp_path / "none"), "toy") is None
    assert champion(uri, "toy") is None
    winner = registered("f1")
    assert champion(uri, "toy") is None
    promote(uri, "toy", winner.version)
    assert champion(uri, "toy").tags["fingerprint"] == "f1"


def test_promotion_an_unknown_version_is_refused(registered, mlruns):
    """A version that does not exist is MLflow's refusal in the project's form."""
    registered("f1")
    with pytest.raises(StoreError, match="MLflow must answer"):
        promote(local_uri(mlruns), "toy", 99)


def test_a_registry_that_is_away_is_told_without_its_password():
    """A server that does not answer is a StoreError that shows no password."""
    with pytest.raises(StoreError, match="MLflow must answer") as caught:
        champion("http://me:s3cret@127.0.0.1:9", "toy")
    assert "s3cret" not in str(caught.value)
