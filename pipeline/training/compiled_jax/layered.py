"""Any Keras model that ends in class probabilities: its own layers and optimizer in the compiled epoch."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import keras

from pipeline.training.compiled_jax import sweep

LOSS = "sparse_categorical_crossentropy"
# What an optimizer may do beside its steps, which nothing here does.
BESIDE = ("use_ema", "loss_scale_factor")


def refusal(model: keras.Model) -> str:
    """Why the model cannot be trained here, as the end of a sentence; empty if it can."""
    if model.loss != LOSS:
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
    """A Keras model that trains for an epoch a call.

    Args:
        model: compiled with sparse cross-entropy.
    """

    def __init__(self, resident: sweep.Resident, model: keras.Model, batch_size: int) -> None:
        self._model = model
        self._resident = resident
        self._batch_size = min(batch_size, len(resident.labels))
        model.optimizer.build(model.trainable_variables)
        kinds = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        # Copies: the compiled epoch writes the new state over the old.
        self._state = tuple([jnp.array(variable.value) for variable in kind] for kind in kinds)
        self._epoch = jax.jit(self._traced, donate_argnums=1)

    def epoch(self, order: Any, epochs_done: int) -> sweep.Sums:  # noqa: ARG002  its optimizer counts
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,), int32.
        """
        self._state, sums = self._epoch(self._resident, self._state, order)
        return sums  # type: ignore[no-any-return]

    @property
    def model(self) -> keras.Model:
        """The model with the weights of now."""
        kinds = (self._model.trainable_variables, self._model.non_trainable_variables)
        for variables, values in zip(kinds, self._state[:2], strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return self._model

    def _traced(self, resident: sweep.Resident, state: Any, order: Any) -> tuple[Any, sweep.Sums]:
        # The last batch has a size of its own: a layer may look at a whole batch, and draws by its shape.
        num_whole = len(order) // self._batch_size * self._batch_size
        state, (losses, hits) = sweep.train(
            resident, order[:num_whole], self._batch_size, state, self._stepped
        )
        if num_whole < len(order):
            rest = order[num_whole:]
            state, (loss, more) = sweep.train(resident, rest, len(rest), state, self._stepped)
            losses, hits = losses + loss, hits + more

        def judge(pixels: Any, labels: Any, counts: Any) -> sweep.Judged:
            probabilities, losses, added, _ = self._called(state[0], state[1], pixels, labels, training=False)
            loss = jnp.where(counts, losses, 0).sum() + added * counts.sum()
            return loss, sweep.right(probabilities, labels, counts)

        return state, (losses, hits, *sweep.validate(resident, judge))

    def _stepped(self, state: Any, pixels: Any, labels: Any, counts: Any, _: Any) -> tuple[Any, sweep.Judged]:
        trainable, others, of_optimizer = state

        def mean(trainable: list[Any]) -> tuple[Any, Any]:
            probabilities, losses, added, changed = self._called(
                trainable, others, pixels, labels, training=True
            )
            return losses.mean() + added, (changed, sweep.right(probabilities, labels, counts))

        (loss, (others, hits)), gradients = jax.value_and_grad(mean, has_aux=True)(trainable)
        trainable, of_optimizer = self._model.optimizer.stateless_apply(of_optimizer, gradients, trainable)
        return (trainable, others, of_optimizer), (loss * len(labels), hits)

    def _called(
        self, trainable: list[Any], others: list[Any], pixels: Any, labels: Any, training: bool
    ) -> tuple[Any, Any, Any, list[Any]]:
        """Probabilities, each image's loss, what layers add to it as regularizers do, and new states."""
        images = pixels.reshape(-1, *self._resident.shape)
        probabilities, changed, added = self._model.stateless_call(
            trainable, others, images, training=training, return_losses=True
        )
        losses = keras.losses.sparse_categorical_crossentropy(labels, probabilities)
        return probabilities, losses, sum(added, jnp.float32(0)), changed
