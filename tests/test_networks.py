"""What a configuration means: the rate of each epoch, its cost, and what each family makes of it."""

import pytest
from fakes import DEFAULTS

from pipeline.learners.networks import FAMILIES, NAMES, NETWORKS, SHARED, Networks
from pipeline.learners.own_code import Config
from pipeline.space import defaults
from pipeline.study import DataShape
from pipeline.training.optimizers import learning_rate, learning_rates, one_cycle


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
    made = [
        learner.build(one, SHAPE, NUM_CLASSES, lambda _: 1).to_json()
        for one in [plain, *({**plain, key: other(known)} for key, known in own.items())]
    ]
    assert len(set(made)) == 1 + len(own)


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
