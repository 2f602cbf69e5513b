"""What a configuration means, without a framework: the rate of each epoch, and its cost."""

import pytest
from fakes import DEFAULTS

from pipeline.learners.networks import NETWORKS
from pipeline.study import DataShape
from pipeline.training.schedule import learning_rate


def test_a_constant_schedule_keeps_the_rate():
    """Every epoch has the rate of the configuration, to the last bit."""
    assert {learning_rate(DEFAULTS, epoch, 4) for epoch in (1, 2, 3, 4)} == {0.001}


def test_a_cosine_schedule_begins_at_the_rate_and_falls_towards_zero():
    """Half a wave over the trial's epochs; the last epoch still trains."""
    falling = {**DEFAULTS, "schedule": "cosine", "learning_rate": 1.0}
    rates = [learning_rate(falling, epoch, 4) for epoch in (1, 2, 3, 4)]
    # Cosines of 0, 45, 90 and 135 degrees, to 4 digits.
    assert rates == pytest.approx([1, 0.8536, 0.5, 0.1464], abs=1e-4)


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
