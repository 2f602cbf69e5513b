"""Any Keras model that ends in class probabilities: its own layers and optimizer in the compiled epoch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.training.compiled.on_jax import passes
from pipeline.training.fit import LOSS, cross_entropy

# What an optimizer may do beside its steps, which nothing here does.
BESIDE = ("use_ema", "loss_scale_factor")


def refusal(model: keras.Model, is_ours: bool = False) -> str:
    """Why the model cannot be trained here, as the end of a sentence; empty if it can.

    Args:
        is_ours: its optimizer and loss are the study's.
    """
    if not is_ours and model.loss != LOSS:
        return f"its loss is {model.loss}, not {LOSS}"
    beside = [name for name in BESIDE if model.optimizer.get_config().get(name)]
    if beside:
        return f"its optimizer does more than steps: {', '.join(beside)}"
    if model.run_eagerly:
        return "it is to run eagerly"
    if type(model).train_step is not keras.Model.train_step:
        return "it has a train_step of its own"
    return ""


class Layered:
    """A Keras model that trains for an epoch a call; on JAX a call compiled for one step and made for each.

    Args:
        model: compiled with sparse cross-entropy.
        smoothing: the share of each label that is spread over all classes in training.
    """

    # Not one call for all steps, as in `dense`: inside of a loop XLA leaves the slopes of convolutions as
    # it finds them, and on a CPU they then take five times as long.

    def __init__(
        self,
        resident: passes.Resident,
        model: keras.Model,
        batch_size: int,
        smoothing: float = 0.0,
        num_train: int | None = None,  # noqa: ARG002  each step is a call of its own
    ) -> None:
        self._model = model
        self._resident = resident
        self._batch_size = batch_size
        self._smoothing = smoothing
        model.optimizer.build(model.trainable_variables)
        kinds = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        # Copies: a step writes the new state over the old.
        self._state = tuple([jnp.array(variable.value) for variable in kind] for kind in kinds)
        rate = model.optimizer.learning_rate
        # Which of the optimizer's variables; none where the optimizer has a schedule.
        self._rate = next((i for i, one in enumerate(model.optimizer.variables) if one is rate), None)
        self._step = jax.jit(self._stepped, donate_argnums=(0, 1))
        self._validate = jax.jit(self._validated)

    def epoch(
        self,
        order: NDArray[np.int64],
        epochs_done: int,  # noqa: ARG002  its optimizer counts its steps
        rates: NDArray[np.float32] | None,
    ) -> passes.Sums:
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,).
            rates: of each step, (num_steps,); None: the optimizer keeps its own.
        """
        sums, indices = passes.nothing(), jnp.asarray(order, jnp.int32)
        # The last batch has a size of its own: a layer may look at a whole batch, and draws by its shape.
        for step, first in enumerate(range(0, len(order), self._batch_size)):
            rows = indices[first : first + self._batch_size]
            if self._rate is not None and rates is not None and (step == 0 or rates[step] != rates[step - 1]):
                self._state[2][self._rate] = jnp.asarray(rates[step])
            self._state, sums = self._step(self._state, sums, self._resident, rows)
        return (*sums, *self._validate(self._state, self._resident))

    @property
    def weights(self) -> list[NDArray[Any]]:
        """The weights of now, in the order of the model's."""
        weights: list[NDArray[Any]] = self.model.get_weights()
        return weights

    @property
    def model(self) -> keras.Model:
        """The model with the weights of now."""
        kinds = (self._model.trainable_variables, self._model.non_trainable_variables)
        for variables, values in zip(kinds, self._state[:2], strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return self._model

    def _validated(self, state: Any, resident: passes.Resident) -> passes.Judged:
        def judge(pixels: Any, labels: Any, counts: Any) -> passes.Judged:
            probabilities, losses, added, _ = self._called(state[0], state[1], pixels, labels, training=False)
            loss = jnp.where(counts, losses, 0).sum() + added * counts.sum()
            return loss, passes.right(probabilities, labels, counts)

        return passes.validate(resident, judge)

    def _stepped(self, state: Any, sums: Any, resident: passes.Resident, rows: Any) -> tuple[Any, Any]:
        trainable, others, of_optimizer = state
        pixels, labels = resident.images[rows], resident.labels[rows]

        def mean(trainable: list[Any]) -> tuple[Any, Any]:
            probabilities, losses, added, changed = self._called(
                trainable, others, pixels, labels, training=True
            )
            return losses.mean() + added, (changed, passes.right(probabilities, labels, True))

        (loss, (others, hits)), gradients = jax.value_and_grad(mean, has_aux=True)(trainable)
        trainable, of_optimizer = self._model.optimizer.stateless_apply(of_optimizer, gradients, trainable)
        return (trainable, others, of_optimizer), (sums[0] + loss * len(labels), sums[1] + hits)

    def _called(
        self, trainable: list[Any], others: list[Any], pixels: Any, labels: Any, training: bool
    ) -> tuple[Any, Any, Any, list[Any]]:
        """Probabilities, each image's loss, what layers add to it as regularizers do, and new states."""
        images = pixels.reshape(-1, *self._resident.shape)
        probabilities, changed, added = self._model.stateless_call(
            trainable, others, images, training=training, return_losses=True
        )
        losses = cross_entropy(labels, probabilities, self._smoothing if training else 0.0)
        added = added if training or not self._smoothing else []
        return probabilities, losses, sum(added, jnp.float32(0)), changed
