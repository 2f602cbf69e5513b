"""The compiled program on JAX beside plain fit on JAX; test_compiled_jax.py runs this in its own process.

Keras has one backend a process, and all other tests have TensorFlow's.
"""

import math
import tempfile

import keras
import numpy as np
import pytest
from fakes import DEFAULTS

from pipeline.learners.networks import NETWORKS, Networks
from pipeline.study import DataShape
from pipeline.training import THREADS
from pipeline.training.fit import compile_as_configured
from pipeline.training.framework import set_up
from pipeline.trial import Trial

# Several tests compile the same.
COMPILED = tempfile.TemporaryDirectory()
set_up(THREADS, COMPILED.name)

from pipeline.training.compiled import Compiled, on_jax  # noqa: E402  JAX is set up before it is used
from pipeline.training.compiled.on_jax import dense, layered  # noqa: E402  likewise
from pipeline.training.fit import Fit  # noqa: E402  after the set-up

NUM_CLASSES = 5
# No batch size divides it.
NUM_TRAIN, SHAPE = 1613, (9, 9, 1)


def blobs(num_images):
    """Noise with a bright row for each class: images and labels."""
    generator = np.random.default_rng(num_images)
    labels = generator.integers(0, NUM_CLASSES, num_images)
    images = generator.integers(0, 100, (num_images, *SHAPE))
    images[np.arange(num_images), labels + 1] += 150
    return images.astype(np.uint8), labels.astype(np.int64)


# Every size of a batch is compiled: val is one whole batch, or two where it matters.
DATA = (NETWORKS, blobs(NUM_TRAIN), blobs(1000), NUM_CLASSES, 7)
FEW = (NETWORKS, blobs(250), *DATA[2:])
UNEVEN = (*FEW[:2], blobs(1201), NUM_CLASSES, 7)


def a_trial(number=0, **changes):
    return Trial(number, {}, {**DEFAULTS, "hidden_units": 24, **changes}, 9, ("trial", number))


def trained(program, trial, num_epochs=1):
    """The metrics after the last epoch."""
    program.start(trial)
    return [program.epoch(trial.number) for _ in range(num_epochs)][-1]


def restored(program, trial, folder):
    """A Keras model with what `save` wrote."""
    path = folder / f"{type(program).__name__}.weights.h5"
    program.save(trial.number, path)
    model = NETWORKS.build(trial.configuration, SHAPE, NUM_CLASSES, lambda _: 1)
    keras.Model(model.inputs, model.outputs).load_weights(path)
    compile_as_configured(model, trial.configuration)
    return model


def distance(first, second):
    """The largest difference between two models' weights."""
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    return max(np.abs(old - new).max() for old, new in pairs)


@pytest.mark.parametrize(
    "changes",
    [
        # Widths that are padded draw their dropout by another shape.
        {"batch_size": 64, "hidden_layers": 2, "hidden_units": 32, "dropout": 0.4},
        {"batch_size": 128, "activation": "tanh", "learning_rate": 0.01, "schedule": "cosine"},
        {"batch_size": 37, "hidden_layers": 3, "activation": "sigmoid", "train_images": 300},
        {"batch_size": 2000, "hidden_layers": 0, "learning_rate": 0.0001},
        {"batch_size": 128, "optimizer": "adamw", "weight_decay": 0.1, "activation": "gelu"}
        | {"label_smoothing": 0.1},
        {"batch_size": 128, "optimizer": "sgd", "momentum": 0.9, "nesterov": "yes", "weight_decay": 0.01},
        {"batch_size": 128, "optimizer": "rmsprop", "activation": "swish", "schedule": "one_cycle"},
    ],
    ids=str,
)
def test_after_100_steps_the_weights_and_metrics_are_those_of_fit(changes, tmp_path):
    """Same seeds and order give fit's weights and metrics, for every hyperparameter."""
    trial = a_trial(**changes)
    num_epochs = min(math.ceil(100 / (NUM_TRAIN / trial.configuration["batch_size"])), 10)
    fit, compiled = Fit(*DATA), Compiled(*DATA)
    expected, metrics = (trained(program, trial, num_epochs) for program in (fit, compiled))
    # Operations in another order round differently.
    assert distance(restored(fit, trial, tmp_path), restored(compiled, trial, tmp_path)) < 1e-5
    assert metrics == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"rotation": 0.1, "schedule": "cosine", "hidden_layers": 0, "batch_size": 50},
        {"model": "cnn", "filters": 4, "batch_size": 60, "schedule": "one_cycle", "optimizer": "sgd"}
        | {"label_smoothing": 0.2},
        {"model": "cnn", "filters": 2, "batch_norm": "yes", "pooling": "average", "batch_size": 60},
        {"model": "rnn", "recurrent_units": 4, "batch_size": 60},
        {"model": "transformer", "width": 4, "heads": 2, "depth": 1, "batch_size": 60},
    ],
    ids=str,
)
def test_other_models_have_the_weights_and_metrics_of_fit(changes, tmp_path):
    """Augmentation and convolutions draw what they draw in fit, and end at its weights and scores."""
    trial, fit, compiled = a_trial(**changes), Fit(*FEW), Compiled(*FEW)
    expected, metrics = trained(fit, trial, 2), trained(compiled, trial, 2)
    model = restored(compiled, trial, tmp_path)
    assert distance(restored(fit, trial, tmp_path), model) < 1e-5
    assert metrics == pytest.approx(expected, abs=1e-5)
    assert model.evaluate(*FEW[2], batch_size=1000, verbose=0)[1] == metrics["val_accuracy"]


@pytest.mark.parametrize("activation", dense.ACTIVATIONS)
def test_padding_stays_exactly_zero(activation):
    """Units that fill a layer up to its compiled width never get a weight."""
    trial, compiled = a_trial(activation=activation, hidden_layers=2), Compiled(*FEW)
    trained(compiled, trial, 3)
    kernels = compiled._slots[0].training.trained.variables
    assert [kernel.shape for kernel in kernels[::2]] == [(81, 32), (32, 32), (32, 5)]
    assert all(not np.any(kernel[..., 24:]) for kernel in kernels[:4])
    assert not np.any(kernels[2][24:])
    assert not np.any(kernels[4][24:])
    assert np.all(kernels[4][:24])


def test_widths_come_in_four_steps_to_each_double():
    """Few programs serve all widths, and none is wider by more than a quarter, 16 units aside."""
    assert sorted({dense.padded(units) for units in range(65, 513)}) == [
        *(80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512)
    ]
    assert all(units <= dense.padded(units) < max(units + 16, 1.25 * units) for units in range(1, 2000))


def test_one_program_serves_rates_seeds_and_near_widths():
    """Trials that differ in learning rate, dropout rate, seeds and a few units are not compiled again."""
    compiled = Compiled(*FEW)
    for number, units in enumerate((17, 24, 32)):
        changes = {"dropout": 0.1 + number / 10, "learning_rate": 0.001 * (number + 1), "hidden_units": units}
        trained(compiled, a_trial(number, **changes))
    [call] = compiled._dense._alone.values()
    assert call._cache_size() == 1


def test_the_saved_weights_give_the_recorded_score(tmp_path):
    """A Keras model with the saved weights evaluates to the recorded metrics on val."""
    trial, compiled = a_trial(dropout=0.2), Compiled(*UNEVEN)
    metrics = trained(compiled, trial, 2)
    model = restored(compiled, trial, tmp_path)
    val_loss, val_accuracy = model.evaluate(*UNEVEN[2], batch_size=1201, verbose=0)
    assert val_accuracy == metrics["val_accuracy"]
    assert val_loss == pytest.approx(metrics["val_loss"], abs=1e-6)


def test_dropout_falls_anew_in_each_epoch_and_trial():
    """Two trials that differ in their seeds alone, and two epochs of one trial, drop other units."""
    # So small a rate moves no weight: what differs between losses is what was dropped.
    program, still = Compiled(*FEW), {"dropout": 0.5, "learning_rate": 1e-30}
    losses = [trained(program, a_trial(**still), epochs)["loss"] for epochs in (1, 2)]
    losses.append(trained(program, a_trial(1, **still))["loss"])
    assert len(set(losses)) == 3


def a_model(optimizer="adam", loss=layered.LOSS, kind=keras.Model, **compiling):
    pixels = keras.Input(SHAPE)
    outputs = keras.layers.Dense(NUM_CLASSES)(keras.layers.Flatten()(pixels))
    model = kind(pixels, outputs)
    model.compile(optimizer, loss, **compiling)
    return model


class Own(keras.Model):
    """A model that makes its steps itself."""

    def train_step(self, state, data):
        return super().train_step(state, data)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (a_model(keras.optimizers.SGD(0.1, momentum=0.9)), ""),
        (a_model(loss="mse"), "its loss is mse, not sparse_categorical_crossentropy"),
        (a_model(keras.optimizers.Adam(use_ema=True)), "its optimizer does more than steps: use_ema"),
        (a_model(run_eagerly=True), "it is to run eagerly"),
        (a_model(kind=Own), "it has a train_step of its own"),
    ],
)
def test_what_it_cannot_train_it_refuses_in_words(model, reason):
    """Any optimizer that only makes steps, and sparse cross-entropy; anything else is named."""
    assert layered.refusal(model) == reason


def test_what_it_cannot_train_plain_fit_trains_and_the_log_says_why(monkeypatch, caplog):
    """A model that is refused is trained as plain fit trains it, with a sentence that says why."""
    monkeypatch.setattr(Networks, "is_dense", lambda *_: False)
    monkeypatch.setattr(on_jax, "refusal", lambda *_: "it is to run eagerly")
    trial, fit, compiled = a_trial(hidden_layers=0), Fit(*FEW), Compiled(*FEW)
    assert trained(compiled, trial) == trained(fit, trial)
    assert "trial 0 is trained by plain fit: it is to run eagerly." in caplog.text
    compiled.drop(0)


# One shape: widths that are filled up to the same, and rates and seeds of their own.
ALIKE = [{"dropout": 0.1 * (1 + number), "hidden_units": units} for number, units in enumerate((20, 24, 32))]


def together(packed, numbers):
    """The metrics of an epoch of each trial, in as few calls as the program makes of them."""
    found, left = {}, list(numbers)
    while left:
        found |= packed.epochs(left)
        left = [number for number in left if number not in found]
    return found


def test_packed_networks_have_the_weights_and_metrics_of_networks_that_train_alone(tmp_path):
    """Whoever sits beside them, and where one begins while another is in the middle, or makes a pause."""
    packed, alone = Compiled(*UNEVEN, slots=4), Compiled(*UNEVEN)
    trials = [a_trial(number, **changes) for number, changes in enumerate(ALIKE)]
    expected = [trained(alone, trial, 2 + trial.number) for trial in trials]
    packed.start(trials[2])
    together(packed, [2])
    packed.start(trials[0])
    packed.start(trials[1])
    metrics = {}
    for numbers in ([0, 2], [1], [2, 0, 1], [1, 2]):
        metrics |= together(packed, numbers)
    for trial in trials:
        pair = (restored(program, trial, tmp_path) for program in (packed, alone))
        assert distance(*pair) < 1e-5
        assert metrics[trial.number] == pytest.approx(expected[trial.number], abs=1e-5)


def test_one_call_trains_all_networks_of_a_shape():
    """And none of another shape: those are left for the next call."""
    packed = Compiled(*FEW, slots=2)
    for number, changes in enumerate([*ALIKE, {"dropout": 0.1, "batch_size": 64}]):
        packed.start(a_trial(number, **changes))
    assert [sorted(packed.epochs(numbers)) for numbers in ([0, 3, 1, 2], [2, 3], [3])] == [[0, 1], [2], [3]]


def test_neighbours_in_a_pack_leave_no_trace():
    """Bit for bit: alone in its pack, in another seat, among neighbours that come and go."""
    curves = []
    for neighbours in ([], ALIKE[:1], ALIKE[:2]):
        packed = Compiled(*FEW, slots=3)
        for number, changes in enumerate(neighbours):
            packed.start(a_trial(1 + number, **changes))
        packed.start(a_trial(**ALIKE[2]))
        curves.append([together(packed, [*range(1 + len(neighbours))])[0]])
        packed.drop(1)
        curves[-1].append(packed.epoch(0))
    assert curves[0] == curves[1] == curves[2]


def test_a_pack_that_all_have_left_takes_no_memory():
    """A seat is free for the next as soon as its trial is dropped."""
    packed = Compiled(*FEW, slots=2)
    for number in range(2):
        packed.start(a_trial(number, **ALIKE[0]))
    pack = packed._slots[0].pack
    packed.drop(0)
    packed.start(a_trial(2, **ALIKE[1]))
    assert packed._slots[2].pack is pack
    packed.drop(1)
    packed.drop(2)
    assert pack._trained is None


def test_features_are_trained_as_they_are():
    """Rows of float32 are neither scaled nor rounded: the epoch has fit's metrics."""
    splits = [
        (images.reshape(len(images), -1)[:, :13].astype(np.float32) / 40 - 1, labels)
        for images, labels in FEW[1:3]
    ]
    trial = a_trial(batch_size=37, activation="tanh", hidden_units=32)
    first, second = (
        trained(program(NETWORKS, *splits, NUM_CLASSES, 7), trial, 2) for program in (Fit, Compiled)
    )
    assert first == pytest.approx(second, abs=1e-5)


def test_tokens_are_trained_as_fit_trains_them():
    """Rows of int32, a token twice in a batch."""
    tokens, labels = np.repeat(np.arange(1, 7, dtype=np.int32)[:, None], 4, axis=1), np.arange(6) % 2
    builder = NETWORKS.given(DataShape((4,), 2, 6, 6, "tokens", 7))
    trial = a_trial(model="transformer", width=4, depth=1, batch_size=4)
    arguments = (builder, (tokens, labels), (tokens, labels), 2, 7)
    first, second = (trained(program(*arguments), trial, 2) for program in (Fit, Compiled))
    assert first == pytest.approx(second, abs=1e-5)
