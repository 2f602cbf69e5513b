"""The compiled program and plain fit: the same weights, metrics and files, whatever else is trained."""

import hashlib
import math
import os
import subprocess
import sys

import numpy as np
import pytest
from fakes import DEFAULTS

from pipeline.learners.networks import NETWORKS, Networks
from pipeline.study import DataShape
from pipeline.training import THREADS, program_name
from pipeline.training.framework import set_up
from pipeline.trial import Trial

set_up(THREADS)

from pipeline.training.compiled import Compiled  # noqa: E402  TensorFlow is set up before it is used
from pipeline.training.fit import Fit, compile_as_configured  # noqa: E402  likewise

NUM_CLASSES = 5
# No batch size divides it, and no word of eight bytes an image.
NUM_TRAIN, SHAPE = 1613, (9, 9, 1)


def blobs(num_images, shape=SHAPE):
    """Noise with a bright row for each class: images and labels."""
    generator = np.random.default_rng(num_images)
    labels = generator.integers(0, NUM_CLASSES, num_images)
    images = generator.integers(0, 100, (num_images, *shape))
    images[np.arange(num_images), labels + 1] += 150
    return images.astype(np.uint8), labels.astype(np.int64)


DATA = (NETWORKS, blobs(NUM_TRAIN), blobs(1201), NUM_CLASSES, 7)


def a_trial(number=0, **changes):
    return Trial(number, {}, {**DEFAULTS, "hidden_units": 24, **changes}, 9, ("trial", number))


def trained(program, trial, num_epochs=1):
    """The metrics after the last epoch."""
    program.start(trial)
    return [program.epoch(trial.number) for _ in range(num_epochs)][-1]


def restored(trial, path):
    """The trial's model with what `save` wrote."""
    return NETWORKS.restore(trial.configuration, DataShape(SHAPE, NUM_CLASSES, NUM_TRAIN, 0), path).native


def weights(program, trial, folder):
    """What `save` wrote, in the order of the model's weights."""
    path = folder / f"{type(program).__name__}.weights.h5"
    program.save(trial.number, path)
    return restored(trial, path).get_weights()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"batch_size": 64, "hidden_layers": 2, "dropout": 0.4},
        {"batch_size": 128, "activation": "tanh", "learning_rate": 0.01},
        {"batch_size": 37, "hidden_layers": 3, "activation": "sigmoid", "hidden_units": 200},
        {"batch_size": 2000, "hidden_layers": 0, "learning_rate": 0.0001},
        {"batch_size": 64, "schedule": "cosine", "learning_rate": 0.01},
        {"batch_size": 64, "optimizer": "adamw", "weight_decay": 0.1, "activation": "gelu"},
        {"batch_size": 64, "optimizer": "sgd", "learning_rate": 0.1, "activation": "swish"}
        | {"label_smoothing": 0.1},
        {"batch_size": 64, "optimizer": "sgd", "momentum": 0.9, "nesterov": "yes", "weight_decay": 0.01},
        {"batch_size": 64, "optimizer": "rmsprop", "dropout": 0.2, "schedule": "one_cycle", "warmup": 0.0},
        {"batch_size": 64, "train_images": 300, "schedule": "one_cycle"},
    ],
    ids=str,
)
def test_after_100_steps_the_weights_and_metrics_are_those_of_fit(changes, tmp_path):
    """Same seeds and order give fit's weights and metrics, dropout included, for every hyperparameter."""
    trial = a_trial(**changes)
    num_epochs = min(math.ceil(100 / (NUM_TRAIN / trial.configuration["batch_size"])), 10)
    fit, compiled = Fit(*DATA), Compiled(*DATA)
    expected, metrics = (trained(program, trial, num_epochs) for program in (fit, compiled))
    pairs = zip(weights(fit, trial, tmp_path), weights(compiled, trial, tmp_path), strict=True)
    # Operations in another order round differently.
    assert max(np.abs(old - new).max() for old, new in pairs) < 1e-5
    assert metrics == pytest.approx(expected, abs=1e-5)


def test_the_first_weights_are_those_that_fit_begins_with(tmp_path):
    """Before its first epoch a trial has exactly the weights of the Keras model with its seeds."""
    trial, fit, compiled = a_trial(hidden_layers=2), Fit(*DATA), Compiled(*DATA)
    fit.start(trial)
    compiled.start(trial)
    for old, new in zip(weights(fit, trial, tmp_path), weights(compiled, trial, tmp_path), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_saved_weights_give_the_recorded_score(tmp_path):
    """A Keras model with the saved weights evaluates to the recorded metrics on val."""
    trial, compiled = a_trial(dropout=0.2), Compiled(*DATA)
    metrics = trained(compiled, trial, 2)
    compiled.save(0, tmp_path / "trial.weights.h5")
    model = restored(trial, tmp_path / "trial.weights.h5")
    compile_as_configured(model, trial.configuration)
    val_loss, val_accuracy = model.evaluate(*DATA[2], verbose=0)
    assert val_accuracy == metrics["val_accuracy"]
    assert val_loss == pytest.approx(metrics["val_loss"], abs=1e-6)


def digest(neighbours):
    """A digest of the metrics of trial 0 after each of two epochs, trained among neighbours."""
    program = Compiled(*DATA)
    trials = [a_trial(), *(a_trial(1 + index, **changes) for index, changes in enumerate(neighbours))]
    for trial in reversed(trials):
        program.start(trial)
    curve = [[program.epoch(trial.number) for trial in reversed(trials)][-1] for _ in range(2)]
    return hashlib.sha256(repr(curve).encode()).hexdigest()


def test_neighbours_leave_no_trace():
    """A trial's bits do not depend on what is trained before it and between its epochs."""
    assert digest([]) == digest([{"dropout": 0.3}, {"hidden_units": 77, "batch_size": 50}, {"rotation": 0.1}])


@pytest.mark.slow
def test_two_processes_give_the_same_bits():
    """Another process gives the same digits to the last one."""
    script = "from test_compiled import digest; print(digest([{'hidden_layers': 3}]))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", script]
    other = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.split() == [digest([])]


def test_dropout_falls_anew_in_each_epoch_and_trial():
    """Two trials that differ in their seeds alone, and two epochs of one trial, drop other units."""
    program = Compiled(*DATA)
    # So small a rate moves no weight: what differs between losses is what was dropped.
    still = {"dropout": 0.5, "learning_rate": 1e-30}
    losses = [trained(program, a_trial(**still), epochs)["loss"] for epochs in (1, 2)]
    losses.append(trained(program, a_trial(1, **still))["loss"])
    assert len(set(losses)) == 3


def test_one_trace_serves_every_width_batch_size_and_rate():
    """Trials that differ in width, batch size, rates and seeds are not traced again."""
    program = Compiled(*DATA)
    widths = ((16, 32, 0.1), (40, 50, 0.2), (128, 64, 0.5))
    for number, (width, size, rate) in enumerate(widths):
        changes = {"hidden_units": width, "batch_size": size, "dropout": rate, "learning_rate": rate / 100}
        trained(program, a_trial(number, **changes))
    function = program._dense.function(program._slots[0].training.kind)
    assert function.experimental_get_tracing_count() == 1


def test_a_trial_that_runs_away_has_metrics_that_are_no_numbers():
    """Weights beyond all numbers come back as metrics that are not finite, without an error."""
    metrics = trained(Compiled(*DATA), a_trial(learning_rate=1e38), 2)
    assert not math.isfinite(metrics["loss"])
    assert not math.isfinite(metrics["val_loss"])


def test_a_dropped_trial_is_forgotten():
    """After `drop` nothing of the trial is left, and to drop it again is no error."""
    program = Compiled(*DATA)
    program.start(a_trial())
    program.drop(0)
    program.drop(0)
    with pytest.raises(KeyError):
        program.epoch(0)


def test_a_hyperparameter_that_dense_networks_do_not_know_is_left_to_keras():
    """A configuration with a new hyperparameter is never trained as if it were not there."""
    assert NETWORKS.is_dense(DEFAULTS)
    assert not NETWORKS.is_dense({**DEFAULTS, "batch_norm": "yes"})


def test_auto_is_compiled():
    """`auto` is the compiled trainer; a trainer that is named is itself."""
    assert [program_name(name) for name in ("auto", "fit", "compiled")] == ["compiled", "fit", "compiled"]


class _Layers(Networks):
    """All networks as if each had something beside dense layers."""

    def is_dense(self, configuration):  # noqa: ARG002  the seam's name
        return False


@pytest.mark.parametrize("builder", [NETWORKS, _Layers()])
def test_features_are_trained_as_they_are(builder, tmp_path):
    """Rows of float32 are neither scaled nor rounded: both compiled epochs give what fit gives."""
    splits = [
        (images.reshape(len(images), -1)[:, :13].astype(np.float32) / 40 - 1, labels)
        for images, labels in (blobs(301), blobs(120))
    ]
    trial = a_trial(batch_size=37, activation="tanh")
    found = []
    for program in (Fit, Compiled):
        one = program(builder, *splits, NUM_CLASSES, 7)
        metrics = trained(one, trial, 2)
        one.save(trial.number, tmp_path / "some.weights.h5")
        shape = DataShape((13,), NUM_CLASSES, 301, 120, "features")
        model = builder.restore(trial.configuration, shape, tmp_path / "some.weights.h5").native
        found.append(
            [*(weight.ravel() for weight in model.get_weights()), [metrics[name] for name in sorted(metrics)]]
        )
    for first, second in zip(*found, strict=True):
        np.testing.assert_allclose(first, second, atol=1e-5)


@pytest.mark.parametrize(
    "changes", [{"model": "rnn", "recurrent_units": 4}, {"model": "transformer", "width": 4}]
)
def test_tokens_are_trained_as_fit_trains_them(changes):
    """Also where a batch has a token twice, whose slopes Keras' Adam treats in a way of its own."""
    generator = np.random.default_rng(3)
    tokens, labels = generator.integers(0, 9, (150, 6)).astype(np.int32), generator.integers(0, 3, 150)
    tokens[:, 0] = 1
    tokens.sort(axis=1)
    tokens = np.ascontiguousarray(tokens[:, ::-1])
    splits = (tokens[:110], labels[:110]), (tokens[110:], labels[110:])
    builder = NETWORKS.given(DataShape((6,), 3, 110, 40, "tokens", 9))
    trial = a_trial(**changes, batch_size=32, learning_rate=0.01)
    first, second = (trained(program(builder, *splits, 3, 7), trial, 3) for program in (Fit, Compiled))
    assert first == pytest.approx(second, abs=1e-5)
