"""One contract for every trainer, in real worker processes: the same trial, the same bits, come what may."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from fakes import DEFAULTS

from pipeline.data import RawData, describe, save, split
from pipeline.learners.mixed import Mixed
from pipeline.learners.networks import NAMES
from pipeline.search import Listed, Loop, Rules
from pipeline.space import defaults
from pipeline.study import DataShape, Split
from pipeline.training import THREADS
from pipeline.trial import Trial
from pipeline.workers import Pool, VirtualTrainer

pytestmark = pytest.mark.slow
HAS_JAX = importlib.util.find_spec("jax") is not None
# Several networks of one shape in one call, as on a GPU, and one.
ON_JAX = ("compiled-jax", "packed-jax")
NEEDS_JAX = pytest.mark.skipif(not HAS_JAX, reason="JAX is not installed")
TRAINERS = ["fit", "compiled", *(pytest.param(name, marks=NEEDS_JAX) for name in ON_JAX)]
SLOTS = 3
SHAPE, NUM_CLASSES, NUM_IMAGES, EPOCHS = (6, 6, 1), 3, 400, 2
DATA_SHAPE = DataShape(SHAPE, NUM_CLASSES, 240, 80)
CHANGES = [
    {"hidden_layers": 2, "dropout": 0.3, "activation": "tanh", "batch_size": 64},
    {"hidden_layers": 2, "dropout": 0.1, "activation": "tanh", "batch_size": 64, "hidden_units": 16},
    {"rotation": 0.1, "zoom": 0.1, "hidden_layers": 0},
    {"model": "cnn", "filters": 2, "hidden_units": 8},
    {
        "hidden_layers": 1,
        "optimizer": "sgd",
        "momentum": 0.9,
        "schedule": "one_cycle",
        "label_smoothing": 0.1,
    },
    {"model": "cnn", "filters": 2, "batch_norm": "yes", "augmentation": "course", "optimizer": "rmsprop"},
    {"model": "rnn", "recurrent_units": 4, "batch_size": 64},
    {"model": "transformer", "width": 4, "heads": 2, "depth": 1, "batch_size": 64},
    {"model": "random_forest", "n_estimators": 3},
    {"model": "svm"},
    {"hidden_layers": 2, "train_images": 50},
    {"model": "random_forest", "n_estimators": 3, "train_images": 50},
]
# Networks and scikit-learn's models: every program at once.
LEARNER = Mixed()
EVALUATING = """
import json, pathlib, sys
import numpy as np
from pipeline import data
from pipeline.learners.mixed import Mixed
from pipeline.study import DataShape
from pipeline.training import evaluation
folder, shape, asked = sys.argv[1], tuple(json.loads(sys.argv[2])), json.loads(sys.argv[3])
images, labels = data.load(pathlib.Path(folder), ("val",))["val"]
for path, configuration, weights_sha256 in asked:
    model = Mixed().restore(configuration, DataShape(shape, 3, 0, 0), pathlib.Path(path), weights_sha256)
    answers = model.predict(images)
    accuracy = float((answers.argmax(axis=1) == labels).mean())
    print(json.dumps([accuracy, evaluation.mean_loss(answers, np.asarray(labels))]))
"""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Prepared data: noise with a bright row for each class."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, NUM_CLASSES, NUM_IMAGES)
    images = generator.integers(0, 150, (NUM_IMAGES, *SHAPE), dtype=np.uint8)
    images[np.arange(NUM_IMAGES), 2 * labels] += 50
    raw = RawData(images, labels, ("a", "b", "c"))
    splits = split(raw, Split(), seed=1)
    folder = tmp_path_factory.mktemp("data") / "tiny"
    save(splits, describe(splits, raw), folder)
    return folder


def trials(changes=CHANGES, epochs=EPOCHS):
    """Trials with small networks."""
    plain = {**defaults(LEARNER.hyperparameters), **DEFAULTS, "hidden_units": 12, "epochs": epochs}
    return [Trial(n, {}, {**plain, **one}, epochs, ("trial", n)) for n, one in enumerate(changes)]


class Context:
    """A trainer's workers, and what they make of the trials."""

    def __init__(self, trainer, num_workers, prepared, folder):
        self.weights, self.kept = folder / "weights", folder / "kept"
        self.weights.mkdir()
        settings = {
            "learner": LEARNER.as_settings(),
            "data_folder": str(prepared),
            "num_classes": NUM_CLASSES,
            "seed": 5,
        }
        settings |= {"threads": THREADS}
        settings |= {"trainer": trainer.split("-")[0].replace("packed", "compiled")}
        settings |= {"weights_folder": str(self.weights)}
        # Of all workers on JAX: what one has compiled, the others load.
        settings |= {"compiled_folder": str(folder.parent / "compiled")}
        place = {"CUDA_VISIBLE_DEVICES": "-1", "KERAS_BACKEND": "jax" if trainer in ON_JAX else "tensorflow"}
        place |= {"STUDY_SLOTS": str(SLOTS if trainer == "packed-jax" else 1)}
        self.pool = Pool(settings, [place] * num_workers, folder)

    def run(self, listed, parallel=4, watch=lambda _: None):
        """Outcomes by number."""
        trainer = VirtualTrainer(self.pool, lambda one: LEARNER.cost(one.configuration, DATA_SHAPE))
        rules = Rules("val_accuracy", True, parallel)
        done = Loop(Listed(listed), trainer, rules, lambda _: None, watch).run()
        return sorted(done, key=lambda one: one.trial.number)

    @cached_property
    def together(self):
        """Every trial of these tests, trained beside the others; their weights are put aside."""
        done = self.run(trials())
        shutil.copytree(self.weights, self.kept)
        return done


@pytest.fixture(scope="module")
def benches(prepared, tmp_path_factory):
    """A function that gives the context of a trainer with so many workers, each opened once."""
    with ExitStack() as stack:
        opened = {}

        def context(trainer, num_workers=2):
            key = (trainer, num_workers)
            if key not in opened:
                opened[key] = Context(*key, prepared, tmp_path_factory.mktemp(f"{trainer}-{num_workers}"))
                stack.enter_context(opened[key].pool)
            return opened[key]

        yield context


def curves(outcomes):
    """Every metric to the last bit, and what the last weights hash to."""
    return [
        (
            [{name: value.hex() for name, value in metrics.items()} for metrics in one.curve],
            one.weights_sha256,
        )
        for one in outcomes
    ]


@pytest.fixture(params=TRAINERS)
def context(request, benches):
    """Two workers of each trainer."""
    return benches(request.param)


def test_every_metric_is_there_after_each_epoch(context):
    """Loss and accuracy, of networks on train too, as plain Python numbers; nothing diverges here."""
    for one in context.together:
        assert (one.state, len(one.curve), one.seconds > 0) == ("complete", EPOCHS, True)
        named = {"val_loss", "val_accuracy"}
        named |= {"loss", "accuracy"} if one.trial.configuration["model"] in NAMES else set()
        assert all(set(metrics) == named for metrics in one.curve)


def test_something_is_learnt(context):
    """The plain network tells bright rows apart: the epochs follow each other, they do not begin anew."""
    [learnt] = context.run(trials([{"learning_rate": 0.01}], epochs=8))
    assert learnt.curve[-1]["val_accuracy"] > 0.6
    assert learnt.curve[-1]["loss"] < learnt.curve[0]["loss"]


def test_the_same_trial_gives_the_same_curve(context):
    """Trained again, after others: bit for bit. An equal configuration with another chance differs."""
    again, other = context.run(trials(CHANGES[:1] * 2))
    assert curves([again]) == curves(context.together[:1])
    assert curves([other]) != curves([again])


def test_neighbours_change_nothing(context):
    """Alone, one after the other, each trial has the curve that it has beside the others."""
    assert curves(context.run(trials(), parallel=1)) == curves(context.together)


def test_a_configuration_that_cannot_be_trained_is_failed(context):
    """With a reason; its neighbour has the curve that it always has, and the workers live on."""
    pids = [worker.process.pid for worker in context.pool._workers]
    good, bad = context.run(trials([CHANGES[0], {"activation": "no-such"}]))
    assert (good.state, bad.state, bad.curve) == ("complete", "failed", ())
    assert "no-such" in bad.reason
    assert curves([good]) == curves(context.together[:1])
    assert [worker.process.pid for worker in context.pool._workers] == pids


@pytest.mark.parametrize("trainer", TRAINERS)
def test_one_worker_that_is_killed_gives_what_two_give(benches, trainer):
    """Neither the number of workers nor a death in the middle changes a bit."""
    context, seen = benches(trainer, 1), []

    def kill(result):
        seen.append(result)
        if len(seen) == 4:
            context.pool._workers[0].process.kill()

    assert curves(context.run(trials(), watch=kill)) == curves(benches(trainer).together)
    assert len(list(context.pool.log_folder.glob("*.log"))) == 1


def test_saved_weights_answer_as_they_did_in_training(benches, prepared):
    """Restored in another process, they have the recorded accuracy on val, and the loss but for rounding."""
    asked, recorded = [], []
    for trainer in ("fit", "compiled", *ON_JAX[: 2 * HAS_JAX]):
        context = benches(trainer)
        for one in context.together:
            path = context.kept / f"{one.trial.number}{LEARNER.weights_suffix(one.trial.configuration)}"
            asked.append([str(path), dict(one.trial.configuration), one.weights_sha256])
            recorded.append([one.curve[-1]["val_accuracy"], one.curve[-1]["val_loss"]])
    words = [str(prepared), json.dumps(SHAPE), json.dumps(asked)]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", EVALUATING, *words]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    found = [json.loads(line) for line in said.splitlines()]
    # An accuracy is a share of 80 images in float32; in other batches a loss rounds differently.
    assert np.array(found) == pytest.approx(np.array(recorded), abs=1e-5)


@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_worker_is_gone_when_its_coordinator_is(benches, trainer):
    """In the middle of its work, as soon as the other end of its standard input is closed."""
    pool = benches(trainer, 1).pool
    [endless] = trials([{"batch_size": 1}], epochs=10_000)
    pool.start(endless, 0, 1)
    pool.result(0, 1)
    process = pool._workers[0].process
    process.stdin.close()
    assert process.wait(timeout=60) == 0
