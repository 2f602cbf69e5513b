"""Models that are more than dense layers: the same compiled epoch around Keras' own layers."""

import keras
import numpy as np
import pytest
from test_compiled import DATA, NUM_CLASSES, SHAPE, a_trial, trained, weights

from pipeline.learners.networks import NETWORKS, Networks
from pipeline.training.compiled import Compiled
from pipeline.training.compiled.on_tensorflow import layered
from pipeline.training.fit import Fit


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation": 0.1, "zoom": 0.2, "dropout": 0.2, "batch_size": 32},
        {"model": "cnn", "filters": 4, "batch_size": 50, "schedule": "cosine"},
    ],
    ids=str,
)
def test_the_weights_and_metrics_are_those_of_fit(changes, tmp_path):
    """Augmentation, convolutions and dropout draw what they draw in fit, and end at its weights."""
    trial, fit, compiled = a_trial(**changes), Fit(*DATA), Compiled(*DATA)
    expected, metrics = trained(fit, trial), trained(compiled, trial)
    pairs = zip(weights(fit, trial, tmp_path), weights(compiled, trial, tmp_path), strict=True)
    # Longer training of convolutions is chaotic: fit strays from fit when its first weights change by 1e-7.
    assert max(np.abs(old - new).max() for old, new in pairs) < 1e-5
    assert metrics == pytest.approx(expected, abs=1e-5)


def test_its_saved_weights_give_the_recorded_score(tmp_path):
    """A Keras model with the saved weights of a convolutional network evaluates to the recorded metrics."""
    trial, compiled = a_trial(model="cnn", filters=3), Compiled(*DATA)
    metrics = trained(compiled, trial)
    model = NETWORKS.build(trial.configuration, SHAPE, NUM_CLASSES, lambda _: 1)
    model.set_weights(weights(compiled, trial, tmp_path))
    val_loss, val_accuracy = model.evaluate(*DATA[2], verbose=0)
    assert val_accuracy == metrics["val_accuracy"]
    assert val_loss == pytest.approx(metrics["val_loss"], abs=1e-6)


def a_model(optimizer, loss="sparse_categorical_crossentropy"):
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(NUM_CLASSES)])
    model.compile(optimizer, loss)
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (a_model(keras.optimizers.Adam(0.3)), ""),
        (a_model(keras.optimizers.SGD()), "its optimizer is SGD, not Adam"),
        (a_model(keras.optimizers.Adam(beta_1=0.8)), "its Adam has settings of its own: beta_1"),
        (
            a_model(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 9))),
            "its Adam has settings of its own: learning_rate",
        ),
        (a_model("adam", "mse"), "its loss is mse, not sparse_categorical_crossentropy"),
    ],
)
def test_what_it_cannot_train_it_refuses_in_words(model, reason):
    """Only plain Adam and sparse cross-entropy are trained; anything else is named."""
    assert layered.refusal(model) == reason


def test_what_it_cannot_train_plain_fit_trains_and_the_log_says_why(monkeypatch, caplog, tmp_path):
    """A model with another optimizer is trained as plain fit trains it, with a sentence that says why."""
    build = Networks.build

    def with_sgd(*arguments):
        model = build(*arguments)
        model.compile(keras.optimizers.SGD(), layered.LOSS, metrics=["accuracy"])
        return model

    monkeypatch.setattr(Networks, "build", with_sgd)
    trial, fit, compiled = a_trial(rotation=0.1), Fit(*DATA), Compiled(*DATA)
    assert trained(compiled, trial) == trained(fit, trial)
    assert "trial 0 is trained by plain fit: its optimizer is SGD, not Adam." in caplog.text
    for old, new in zip(weights(fit, trial, tmp_path), weights(compiled, trial, tmp_path), strict=True):
        np.testing.assert_array_equal(old, new)
    compiled.drop(0)
