"""What a configuration means: the rate of each epoch, its cost, and what each family makes of it."""

from math import prod

import keras
import pytest
from fakes import DEFAULTS

from pipeline.learners import augmentation
from pipeline.learners.networks import FAMILIES, NAMES, NETWORKS, SHARED, Networks
from pipeline.learners.own_code import Config
from pipeline.space import defaults
from pipeline.study import DataShape
from pipeline.training.optimizers import Optimizer, learning_rate, learning_rates, one_cycle


def test_a_constant_schedule_keeps_the_rate():
    """Every epoch has the rate of the configuration, to the last bit."""
    assert {learning_rate(DEFAULTS, epoch, 4) for epoch in (1, 2, 3, 4)} == {0.001}


def test_a_cosine_schedule_begins_at_the_rate_and_falls_towards_zero():
    """Half a wave over the trial's epochs; the last epoch still trains."""
    falling = {**DEFAULTS, "schedule": "cosine", "learning_rate": 1.0}
    rates = [learning_rate(falling, epoch, 4) for epoch in (1, 2, 3, 4)]
    # Cosines of 0, 45, 90 and 135 degrees, to 4 digits.
    assert rates == pytest.approx([1, 0.8536, 0.5, 0.1464], abs=1e-4)


def test_one_cycle_rises_in_equal_steps_and_falls_towards_zero():
    """Over a trial's steps, not its epochs, to the given rate and no higher; every step trains."""
    cycle = {**DEFAULTS, "schedule": "one_cycle", "learning_rate": 1.0, "warmup": 0.4}
    rates = [rate for epoch in (1, 2) for rate in learning_rates(cycle, epoch, 2, 5)]
    # Four steps up to 4/5, then cosines of 0, 30, ... 150 degrees, to 4 digits.
    falling = [1, 0.9330, 0.75, 0.5, 0.25, 0.0670]
    assert rates == pytest.approx([0.2, 0.4, 0.6, 0.8, *falling], abs=1e-4)
    # What plain fit is given.
    assert [float(one_cycle(cycle, 2, 5)(step)) for step in range(10)] == pytest.approx(rates, abs=1e-6)
    assert list(learning_rates({**cycle, "warmup": 0.0}, 1, 1, 2)) == pytest.approx([1, 0.5])


@pytest.mark.parametrize(
    "dearer",
    [{"hidden_units": 256}, {"hidden_layers": 2}, {"batch_size": 16}, {"rotation": 0.1}, {"model": "cnn"}],
)
def test_more_work_has_a_higher_cost(dearer):
    """Wider, deeper, in smaller steps, augmented or convolutional: each costs more than the plain network."""
    plain, other = (
        NETWORKS.cost(one, DataShape((28, 28, 1), 10, 100, 20)) for one in (DEFAULTS, {**DEFAULTS, **dearer})
    )
    assert other > plain > 0


def test_what_is_read_of_a_configuration_is_noted() -> None:
    """By item, by `get`, or all of it; what is not declared is told with what is."""
    config = Config({"width": 8, "rate": 0.1})
    assert (config["width"], config.get("depth", 2)) == (8, 2)
    with pytest.raises(
        KeyError, match="depth is read and not declared in the study file, which has width, rate"
    ):
        config["depth"]
    assert (list(config.read), list(config.undeclared)) == (["width", "depth"], ["depth"])
    assert dict(**Config({"a": 1})) == {"a": 1}


def described(configuration):
    """All that Keras says of the configuration's model."""
    # Layers without a name are called after how many the process has made.
    keras.utils.clear_session()
    return NETWORKS.build(configuration, SHAPE, NUM_CLASSES, lambda _: 1).to_json()


def test_a_preset_of_augmentation_stands_for_its_amounts():
    """The course's is a turn of at most 10 degrees, a 36th of Keras' unit, and a zoom of a tenth."""
    plain = {**DEFAULTS, "epochs": 1}
    amounts = {**plain, "rotation": 10 / 360, "zoom": 0.1, "augmentation": "none"}
    models = [described(one) for one in (amounts, {**plain, "augmentation": "course"}, plain)]
    assert models[0] == models[1] != models[2]
    assert not NETWORKS.is_dense({**plain, "augmentation": "course"})
    assert NETWORKS.is_dense({**plain, "augmentation": "none", "shift": 0.0, "batch_norm": "no"})


def test_an_optimizer_is_what_the_configuration_says():
    """Adam where it says nothing; AdamW decays as Keras does unless it is told; momentum is of sgd alone."""
    assert Optimizer.of(DEFAULTS) == Optimizer()
    assert Optimizer.of({"optimizer": "adamw"}) == Optimizer(weight_decay=0.004)
    given = {"momentum": 0.9, "nesterov": "yes", "weight_decay": 0.1}
    assert Optimizer.of({"optimizer": "sgd", **given}) == Optimizer("sgd", 0.1, 0.9, True)
    assert Optimizer.of({"optimizer": "rmsprop", **given}) == Optimizer("rmsprop", 0.1)
    with pytest.raises(ValueError, match="optimizer must be one of adamw, adam, sgd, rmsprop, not lion"):
        Optimizer.of({"optimizer": "lion"})
    for optimizer in map(Optimizer.of, ({}, {"optimizer": "sgd", **given}, {"optimizer": "rmsprop"})):
        assert Optimizer.known(optimizer.made(0.1)) == optimizer


SHAPE = (12, 12, 1)
NUM_CLASSES = 3


def other(known):
    """A value that is not the default."""
    return next(word for word in known.words if word != known.default) if known.words else known.default + 1


@pytest.mark.parametrize("name", NAMES)
def test_a_familys_own_hyperparameters_all_matter(name):
    """Each changes what is built, none is one that all share, and no other family's is declared."""
    learner, own = Networks((name,)), FAMILIES[name].HYPERPARAMETERS
    plain = {**defaults(learner.hyperparameters), "model": name}
    assert learner.hyperparameters.keys() == {"model", *SHARED, *own}
    changed = ({**plain, key: other(known)} for key, known in own.items())
    made = [described(one) for one in (plain, *changed)]
    assert len(set(made)) == 1 + len(own)


OPTIONAL = {
    (name, key): one
    for name in NAMES
    for key, one in {**augmentation.OPTIONAL, **getattr(FAMILIES[name], "OPTIONAL", {})}.items()
}


@pytest.mark.parametrize(("name", "key"), OPTIONAL)
def test_what_a_study_may_name_matters_and_costs_nothing_unnamed(name, key):
    """It changes what is built; its default is as if it were not there; it is declared where it is named."""
    plain = {**defaults(Networks((name,)).hyperparameters), "model": name}
    one, data = OPTIONAL[name, key], DataShape(SHAPE, NUM_CLASSES, 9, 3)
    values = [{}, {key: one.default}, {key: other(one)}]
    models = [described({**plain, **value}) for value in values]
    assert models[0] == models[1] != models[2]
    costs = [NETWORKS.cost({**plain, **value}, data) for value in values]
    assert costs[0] == costs[1]
    assert list(Networks.of((name,), {"space": {key: {}}}).hyperparameters)[-1] == key
    others = {key for family, key in OPTIONAL if family == name}
    assert not others & Networks.of((name,), {}).hyperparameters.keys()


def test_a_network_of_many_blocks_halves_an_image_until_a_pixel_is_left():
    """Its cost counts the weights that are read, whichever way it halves."""
    for pooling in ("max", "average", "stride"):
        deep = {**DEFAULTS, "model": "cnn", "blocks": 6, "filters": 1, "pooling": pooling}
        model = NETWORKS.build(deep, SHAPE, NUM_CLASSES, lambda _: 1)
        places = [prod(layer.output.shape[1:3]) for layer in model.layers if hasattr(layer, "kernel")]
        sizes = [prod(layer.kernel.shape) for layer in model.layers if hasattr(layer, "kernel")]
        counted = sum(size * place for size, place in zip(sizes[:6], places[:6], strict=True)) + sum(
            sizes[6:]
        )
        few, more = (NETWORKS.cost(deep, DataShape(SHAPE, NUM_CLASSES, 1, val)) for val in (0, 1))
        assert more - few == counted


@pytest.mark.parametrize("name", NAMES)
def test_a_family_builds_what_its_cost_counts(name):
    """The multiply-adds of an image are at least the weights that are read for it, and its classes count."""
    learner = Networks((name,))
    plain = {**defaults(learner.hyperparameters), "model": name}
    model = learner.build(plain, SHAPE, NUM_CLASSES, lambda _: 1)
    assert model.output_shape == (None, NUM_CLASSES)
    kernels = sum(layer.kernel.shape.num_elements() for layer in model.layers if hasattr(layer, "kernel"))
    few, more = (learner.cost(plain, DataShape(SHAPE, classes, 1, 0)) for classes in (NUM_CLASSES, 9))
    assert few >= 3 * kernels
    assert more > few


def test_families_that_a_study_compares_share_one_table():
    """What one of them adds stands where it stands in that family alone."""
    assert list(Networks(("mlp", "cnn")).hyperparameters) == list(Networks(("cnn",)).hyperparameters)
    assert {*NETWORKS.hyperparameters} == {
        "model",
        *SHARED,
        *(n for f in FAMILIES.values() for n in f.HYPERPARAMETERS),
    }
    assert "filters" not in Networks(("mlp",)).hyperparameters
