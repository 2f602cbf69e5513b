"""Models that are more than dense layers: the same compiled epoch around Keras' own layers."""

import keras
import numpy as np
import pytest
from test_compiled import DATA, NUM_CLASSES, SHAPE, a_trial, trained, weights

from pipeline.learners.networks import NETWORKS, Networks
from pipeline.training.compiled import Compiled
from pipeline.training.compiled.on_tensorflow import layered
from pipeline.training.fit import Fit, compile_as_configured


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation": 0.1, "zoom": 0.2, "dropout": 0.2, "batch_size": 32, "train_images": 700},
        {"model": "cnn", "filters": 4, "batch_size": 50, "schedule": "cosine", "activation": "gelu"},
        {"model": "cnn", "filters": 4, "batch_size": 50, "optimizer": "sgd", "momentum": 0.9, "warmup": 0.1}
        | {"schedule": "one_cycle", "label_smoothing": 0.2},
        {"batch_norm": "yes", "shift": 0.1, "augmentation": "course", "optimizer": "adamw"},
        {
            "model": "cnn",
            "filters": 2,
            "batch_norm": "yes",
            "blocks": 3,
            "kernel_size": 5,
            "hidden_layers": 0,
        },
        {"model": "cnn", "filters": 4, "pooling": "stride", "optimizer": "rmsprop", "batch_size": 50},
        {"model": "rnn", "recurrent_units": 8, "recurrent_layers": 2, "dropout": 0.2, "direction": "both"},
        {"model": "rnn", "recurrent_units": 8, "cell": "gru", "batch_size": 50},
        {"model": "transformer", "width": 8, "heads": 2, "depth": 1, "dropout": 0.2},
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
    compile_as_configured(model, trial.configuration)
    val_loss, val_accuracy = model.evaluate(*DATA[2], verbose=0)
    assert val_accuracy == metrics["val_accuracy"]
    assert val_loss == pytest.approx(metrics["val_loss"], abs=1e-6)


def a_model(optimizer, loss="sparse_categorical_crossentropy"):
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(NUM_CLASSES)])
    model.compile(optimizer, loss)
    return model


def own_step():
    class Own(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    made = Own([keras.Input(SHAPE), keras.layers.Flatten(), keras.layers.Dense(NUM_CLASSES)])
    made.compile("adam", layered.LOSS)
    return made


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (a_model(keras.optimizers.Adam(0.3)), ""),
        (a_model(keras.optimizers.SGD()), ""),
        (a_model(keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(0.1, 9))), ""),
        (a_model("adam", "mse"), "its loss is mse, not sparse_categorical_crossentropy"),
        (own_step(), "it has a train_step of its own"),
        (
            a_model(keras.optimizers.SGD(gradient_accumulation_steps=2)),
            "its optimizer does more than steps: gradient_accumulation_steps",
        ),
    ],
)
def test_what_it_cannot_train_it_refuses_in_words(model, reason):
    """Any optimizer is trained, and sparse cross-entropy; anything else is named."""
    assert layered.refusal(model) == reason


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "rmsprop": lambda: keras.optimizers.RMSprop(1e-3),
    "adamw": lambda: keras.optimizers.AdamW(keras.optimizers.schedules.CosineDecay(1e-3, 9)),
    "adam": lambda: keras.optimizers.Adam(1e-3, beta_1=0.8, clipnorm=1.0),
    "nadam": lambda: keras.optimizers.Nadam(1e-3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_of_a_model_trains_it_as_plain_fit_does(name, monkeypatch):
    """A builder's own optimizer keeps its rate and its state, with layers that have a state or a loss too."""

    def build(_, __, shape, num_classes, seed_of):
        draws = keras.initializers.GlorotUniform
        model = keras.Sequential([
            keras.Input(shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Flatten(),
            keras.layers.Dense(
                8,
                kernel_initializer=draws(seed_of("a")),
                kernel_regularizer="l2",
                kernel_constraint="max_norm",
            ),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.2, seed=seed_of("b")),
            keras.layers.Dense(num_classes, "softmax", kernel_initializer=draws(seed_of("c"))),
        ])  # fmt: skip
        model.compile(OPTIMIZERS[name](), layered.LOSS, metrics=["accuracy"])
        return model

    monkeypatch.setattr(Networks, "build", build)
    monkeypatch.setattr(Networks, "is_dense", lambda *_: False)
    trial, fit, compiled = a_trial(learning_rate=9.0), Fit(*DATA), Compiled(*DATA)
    expected, metrics = trained(fit, trial, 2), trained(compiled, trial, 2)
    assert 0 in compiled._slots
    assert metrics == pytest.approx(expected, abs=1e-4)
    pairs = zip(fit._models[0].model.get_weights(), compiled._slots[0].training.weights, strict=True)
    assert max(np.abs(old - new).max() for old, new in pairs) < 1e-4


def test_what_it_cannot_train_plain_fit_trains_and_the_log_says_why(monkeypatch, caplog, tmp_path):
    """A model that is to run eagerly is trained as plain fit trains it, with a sentence that says why."""
    build = Networks.build

    def with_sgd(*arguments):
        model = build(*arguments)
        model.compile(keras.optimizers.SGD(), layered.LOSS, metrics=["accuracy"], run_eagerly=True)
        return model

    monkeypatch.setattr(Networks, "build", with_sgd)
    trial, fit, compiled = a_trial(rotation=0.1), Fit(*DATA), Compiled(*DATA)
    assert trained(compiled, trial) == trained(fit, trial)
    assert "trial 0 is trained by plain fit: it is to run eagerly." in caplog.text
    for old, new in zip(weights(fit, trial, tmp_path), weights(compiled, trial, tmp_path), strict=True):
        np.testing.assert_array_equal(old, new)
    compiled.drop(0)
