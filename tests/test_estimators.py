"""scikit-learn's models: fitted, kept without pickle, hashed, and read back."""

import json

import numpy as np
import pytest
import skops.io
from sklearn.naive_bayes import GaussianNB

from pipeline.errors import StoreError
from pipeline.learners.estimators import FAMILIES
from pipeline.learners.scikit import OWN, SCIKIT, estimator
from pipeline.space import defaults
from pipeline.study import DataShape
from pipeline.training import serving
from pipeline.training.estimator import Fitting
from pipeline.training.program import used
from pipeline.trial import Trial

SHAPE, NUM_CLASSES, NUM_TRAIN = (5, 4, 1), 3, 240
DEFAULTS = defaults(SCIKIT.hyperparameters)
# What differs from the default, and shows on a few images.
OTHER = {
    "C": 0.01, "max_iter": 2, "criterion": "entropy", "max_depth": 2, "min_samples_leaf": 9,
    "n_estimators": 3, "max_features": 0.9, "shrinkage": 0.5, "max_leaf_nodes": 3,
    "l2_regularization": 5.0, "kernel": "linear", "gamma": 0.5, "n_neighbors": 2, "weights": "distance",
}  # fmt: skip
QUICK = {**DEFAULTS, "n_estimators": 4, "max_iter": 5}


def images(num_images: int, seed: int = 1):
    """Noise with a row for each class that is a little brighter."""
    generator = np.random.default_rng(seed)
    labels = np.arange(num_images) % NUM_CLASSES
    found = generator.integers(0, 150, (num_images, *SHAPE), dtype=np.uint8)
    found[np.arange(num_images), labels] += 60
    return found, labels


def program(train=None, seed: int = 7) -> Fitting:
    """What fits estimators to such images."""
    return Fitting(estimator, train or images(NUM_TRAIN), images(60, 2), NUM_CLASSES, seed)


def fitted(family: str, changes=None, fitting: Fitting | None = None, seed_path=("trial", 0)) -> Fitting:
    """A program that has fitted one trial, number 0."""
    fitting, configuration = fitting or program(), {**QUICK, "model": family, **(changes or {})}
    fitting.start(Trial(0, {}, configuration, 1, seed_path))
    fitting.metrics = fitting.epochs([0])[0]
    return fitting


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_estimator_answers_as_the_fitted_one(family, tmp_path):
    """Its skops file, read with a closed list of types, gives the same bits, and the recorded digest."""
    one = fitted(family)
    assert one.metrics["val_accuracy"] > 0.5
    path = tmp_path / "weights" / "0.weights.skops"
    path.parent.mkdir()
    one.save(0, path)
    shape = DataShape(SHAPE, NUM_CLASSES, NUM_TRAIN, 60)
    again = SCIKIT.restore({}, shape, path, one.digest(0))
    inputs, _ = images(60, 2)
    np.testing.assert_array_equal(again.predict(inputs), one.predict(0, inputs))
    # One of them computes in float32.
    np.testing.assert_allclose(again.predict(inputs).sum(axis=1), 1, rtol=1e-6)
    assert json.loads(again.described())["estimator"] == type(again.native[-1]).__name__


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_seed_fits_the_same_estimator(family):
    """Its metrics and digest are equal; on other images the digest is another."""
    first, again = fitted(family), fitted(family)
    assert (first.metrics, first.digest(0)) == (again.metrics, again.digest(0))
    assert fitted(family, fitting=program(images(NUM_TRAIN, 3))).digest(0) != first.digest(0)


def test_only_a_learner_that_draws_depends_on_its_seed():
    """Another seed gives another forest, and the same machine of support vectors."""
    forests = {fitted("random_forest", fitting=program(seed=seed)).digest(0) for seed in (1, 2)}
    machines = {fitted("svm", fitting=program(seed=seed)).digest(0) for seed in (1, 2)}
    assert (len(forests), len(machines)) == (2, 1)


@pytest.mark.parametrize(
    ("family", "name"), [(family, name) for family, one in FAMILIES.items() for name in one.hyperparameters]
)
def test_every_hyperparameter_of_its_own_matters(family, name):
    """Another value gives another estimator; one that another model has gives the same."""
    assert fitted(family, {name: OTHER[name]}).digest(0) != fitted(family).digest(0)
    others = OWN.keys() - FAMILIES[family].hyperparameters.keys()
    ignored = {other: OTHER[other] for other in others}
    assert SCIKIT.read({**QUICK, "model": family, **ignored}).keys().isdisjoint(ignored)


def test_of_fewer_images_the_others_count_for_nothing():
    """With 60 of them, a fit is that of those 60 alone."""
    pixels, labels = images(NUM_TRAIN)
    chosen = used(7, {"train_images": 60}, NUM_TRAIN)
    few = fitted("svm", {"train_images": 60}, program((pixels, labels)))
    assert few.digest(0) == fitted("svm", fitting=program((pixels[chosen], labels[chosen]))).digest(0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_larger_fit_costs_more(family):
    """The cost is a pure function that grows with the rows of train."""
    shapes = (DataShape(SHAPE, NUM_CLASSES, num_train, 60) for num_train in (100, 1_000))
    small, large = (SCIKIT.cost({**DEFAULTS, "model": family}, shape) for shape in shapes)
    assert 0 < small < large


@pytest.mark.parametrize("family", FAMILIES)
def test_a_class_that_train_lacks_gets_no_probability(family):
    """The others share all of it, also where only two are left."""
    pixels, labels = images(NUM_TRAIN)
    one = fitted(family, fitting=program((pixels[labels != 1], labels[labels != 1])))
    answers = one.predict(0, images(60, 2)[0])
    assert (answers[:, 1] == 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-6)


def test_a_file_with_a_type_of_its_own_is_not_read(tmp_path):
    """A file of weights that holds what none of these models holds is refused, with a way out."""
    path = tmp_path / "weights" / "0.weights.skops"
    path.parent.mkdir()
    # A class that skops trusts by itself is none of a pipeline's parts; a foreign function it does not trust.
    skops.io.dump({"model": GaussianNB(), "run": json.loads}, path)
    with pytest.raises(StoreError, match="the weights must be as they were written"):
        SCIKIT.restore({}, DataShape(SHAPE, NUM_CLASSES, NUM_TRAIN, 60), path, "")


def test_weights_other_than_the_recorded_ones_are_removed(tmp_path):
    """They would be met again and again; what is gone is trained again."""
    path = tmp_path / "weights" / "0.weights.skops"
    path.parent.mkdir()
    fitted("svm").save(0, path)
    with pytest.raises(StoreError, match="must be those that were recorded"):
        SCIKIT.restore({}, DataShape(SHAPE, NUM_CLASSES, NUM_TRAIN, 60), path, "0" * 64)
    assert not path.exists()


@pytest.fixture
def asked(tmp_path):
    """A function that gives the problem and the answers of what predict asks a file of."""

    def asked(path, num_images=40, shape=SHAPE):
        inputs = np.random.default_rng(5).integers(0, 256, (num_images, *shape), dtype=np.uint8)
        paths = {"images": tmp_path / "images.npy", "answers": tmp_path / "answers.npy", "model": path}
        np.save(paths["images"], inputs)
        words = {name: str(one) for name, one in paths.items()}
        problem = serving.answered({**words, "num_classes": NUM_CLASSES})
        return problem, None if problem else np.load(paths["answers"]), inputs

    return asked


def test_a_registered_estimator_answers_as_the_fitted_one(tmp_path, asked):
    """From its skops file, in the process that predict asks."""
    one = fitted("random_forest")
    one.save(0, tmp_path / "model.skops")
    problem, answers, inputs = asked(tmp_path / "model.skops")
    assert problem is None
    np.testing.assert_array_equal(answers, one.predict(0, inputs))


def test_a_file_that_is_no_such_estimator_answers_nothing(tmp_path, asked):
    """Of other inputs, cut short, or with a type of its own: one problem, and none of it is run."""
    path = tmp_path / "model.skops"
    fitted("svm").save(0, path)
    assert "must map 9 to 3" in asked(path, shape=(3, 3, 1))[0].must
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "must be a whole model that skops loads" in asked(path)[0].must
    skops.io.dump({"run": json.loads}, path)
    assert "must be a whole model that skops loads" in asked(path)[0].must
