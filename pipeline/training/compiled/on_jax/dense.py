"""Networks of dense layers: one compiled epoch for all rates and seeds, and for widths that are near."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from pipeline.space import Configuration
from pipeline.training.compiled.on_jax import passes, updates
from pipeline.training.optimizers import Optimizer, Rule
from pipeline.training.program import Builder, SeedOf, Shape, num_used

ACTIVATIONS: Mapping[str, Any] = {
    "relu": jax.nn.relu,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "swish": jax.nn.silu,
}
# Of zero they make zero: the weights of a column that is all zero stay exactly zero.
ZERO_AT_ZERO = ("relu", "tanh", "gelu", "swish")
LEAST_STEP = 16
# Keras' loss keeps probabilities away from 0 and 1 by so much, and no slope comes from beyond.
EPSILON = 1e-7


class Kind(NamedTuple):
    """What an epoch is compiled for."""

    activation: str
    has_dropout: bool
    has_smoothing: bool
    batch_size: int
    rule: Rule
    widths: tuple[int, ...]
    num_train: int


def padded(units: int) -> int:
    """The width that a layer of so many units is compiled with: one of four from each power of 2 to the next.

    Widths are filled up with units whose weights are zero and stay zero, so few programs serve all widths.
    """
    step = max(LEAST_STEP, (1 << (units - 1).bit_length()) // 8)
    return -(-units // step) * step


class Epochs:
    """Epochs of networks, a program for each kind."""

    def __init__(self, resident: passes.Resident) -> None:
        self.resident = resident
        self._alone: dict[Kind, Any] = {}
        self._together: dict[Kind, Any] = {}

    def alone(self, kind: Kind) -> Any:
        """`_epoch` for one network."""
        return _made(self._alone, kind, _epoch)

    def together(self, kind: Kind) -> Any:
        """`_epochs` for networks along a first axis of seats."""
        return _made(self._together, kind, _epochs)


def _made(functions: dict[Kind, Any], kind: Kind, function: Any) -> Any:
    if kind not in functions:
        # The old weights and moments become the new ones in place.
        functions[kind] = jax.jit(partial(function, kind), donate_argnums=1)
    return functions[kind]


class Network:
    """A network that trains for an epoch a call, and begins as its builder's model begins.

    Attributes:
        kind: what its compiled epoch depends on.
        trained: weights and moments; None while a pack keeps them.
    """

    def __init__(
        self,
        epochs: Epochs,
        builder: Builder,
        configuration: Configuration,
        shape: Shape,
        num_classes: int,
        seed_of: SeedOf,
    ) -> None:
        self._builder = builder
        self._configuration, self._shape, self._num_classes = configuration, shape, num_classes
        depth, units = int(configuration["hidden_layers"]), int(configuration["hidden_units"])
        self._widths = [prod(shape), *[units] * depth, num_classes]
        wide = [prod(shape), *[padded(units)] * depth, num_classes]
        names = [*(f"hidden_{index}" for index in range(depth)), "probabilities"]
        optimizer = Optimizer.of(configuration)
        self.trained: Any = updates.fresh(_initial(names, self._widths, wide, seed_of), optimizer.rule)
        self._epochs = epochs
        self._batch_size = int(configuration["batch_size"])
        dropout = float(configuration["dropout"])
        smoothing = float(configuration.get("label_smoothing", 0.0))
        self._numbers = {
            "kept": np.float32(1 - dropout),
            "units": np.int32(units),
            "seeds": np.array([seed_of(f"dropout_{index}") for index in range(depth)], np.uint32),
            "smoothing": np.float32(smoothing),
            **updates.numbers(optimizer),
        }
        num_train = num_used(configuration, len(epochs.resident.labels))
        self.kind = Kind(
            str(configuration["activation"]),
            dropout > 0,
            smoothing > 0,
            min(self._batch_size, num_train),
            optimizer.rule,
            tuple(wide),
            num_train,
        )

    def steps(self, num_images: int, num_epochs: int) -> int:
        """How many steps so many epochs have."""
        return num_epochs * -(-num_images // self._batch_size)

    def numbers(self, rates: NDArray[np.float32]) -> dict[str, Any]:
        """What its epoch is handed beside its weights, as numpy values."""
        return {**self._numbers, "rates": rates}

    def epoch(self, order: NDArray[np.int64], epochs_done: int, rates: NDArray[np.float32]) -> passes.Sums:
        """Train for one epoch.

        Args:
            order: the order of the training images, (num_images,).
            rates: of each step, (num_steps,).
        """
        steps_done = np.int32(self.steps(len(order), epochs_done))
        call = self._epochs.alone(self.kind)
        rows, numbers = jnp.asarray(order, jnp.int32), self.numbers(rates)
        self.trained, sums = call(self._epochs.resident, self.trained, rows, steps_done, numbers)
        return sums  # type: ignore[no-any-return]

    @property
    def weights(self) -> list[NDArray[np.float32]]:
        """The weights of now, without what fills them up, in the order of the model's."""
        ends = [end for rows, columns in pairwise(self._widths) for end in ((rows, columns), (columns,))]
        return [
            np.asarray(variable)[tuple(map(slice, end))]
            for variable, end in zip(self.trained.variables, ends, strict=True)
        ]

    @property
    def model(self) -> keras.Model:
        """The Keras model with the weights of now."""
        model = self._builder.build(self._configuration, self._shape, self._num_classes, lambda _: 1)
        model.set_weights(self.weights)
        return model


def _initial(names: list[str], widths: list[int], wide: list[int], seed_of: SeedOf) -> list[Any]:
    """Kernel and bias of each layer, drawn as Keras draws them at their true widths, filled up with zeros."""
    variables = []
    for name, shape, whole in zip(names, pairwise(widths), pairwise(wide), strict=True):
        kernel = keras.initializers.GlorotUniform(seed=seed_of(name))(shape)
        filling = [(0, full - size) for size, full in zip(shape, whole, strict=True)]
        variables += [jnp.asarray(np.pad(np.asarray(kernel), filling)), jnp.zeros(whole[1])]
    return variables


def _epoch(
    kind: Kind,
    resident: passes.Resident,
    trained: updates.Trained,
    order: Any,
    steps_done: Any,
    numbers: Any,
) -> tuple[updates.Trained, passes.Sums]:
    def step(
        trained: updates.Trained, pixels: Any, labels: Any, counts: Any, index: Any
    ) -> tuple[updates.Trained, passes.Judged]:
        count = steps_done + index

        def dropped(hidden: Any, layer: int) -> Any:
            # As Keras' layer draws: a seed of the layer's own and the number of the step.
            key = jnp.stack([numbers["seeds"][layer], count.astype(jnp.uint32)])
            is_kept = jax.random.bernoulli(key, numbers["kept"], hidden.shape)
            return jnp.where(is_kept, hidden / numbers["kept"], 0)

        def mean(variables: list[Any]) -> tuple[Any, Any]:
            logits = _logits(
                variables, kind.activation, pixels, numbers, dropped if kind.has_dropout else None
            )
            smoothing = numbers["smoothing"] if kind.has_smoothing else None
            losses = jnp.where(counts, _entropies(jax.nn.softmax(logits), labels, smoothing), 0).sum()
            return losses / counts.sum(), (losses, passes.right(logits, labels, counts))

        (_, judged), gradients = jax.value_and_grad(mean, has_aux=True)(trained.variables)
        new = updates.updated(trained, gradients, kind.rule, count, numbers["rates"][index], numbers)
        return new, judged

    trained, sums = passes.train(resident, order, kind.batch_size, trained, step)

    def judge(pixels: Any, labels: Any, counts: Any) -> passes.Judged:
        probabilities = jax.nn.softmax(_logits(trained.variables, kind.activation, pixels, numbers, None))
        losses = jnp.where(counts, _entropies(probabilities, labels, None), 0)
        # Softmax can make equals of two logits: what is recorded is what the saved model's answers give.
        return losses.sum(), passes.right(probabilities, labels, counts)

    return trained, (*sums, *passes.validate(resident, judge))


def _epochs(
    kind: Kind,
    resident: passes.Resident,
    trained: updates.Trained,
    is_active: Any,
    orders: Any,
    steps_done: Any,
    numbers: Any,
) -> tuple[updates.Trained, passes.Sums]:
    """`_epoch` of every seat, all arguments but the images along a first axis; only active ones change."""
    one = partial(_epoch, kind, resident)
    new, sums = jax.vmap(one)(trained, orders, steps_done, numbers)

    def chosen(new: Any, old: Any) -> Any:
        return jnp.where(is_active.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    return jax.tree.map(chosen, new, trained), sums


def _logits(variables: list[Any], activation: str, pixels: Any, numbers: Any, dropped: Any) -> Any:
    hidden = pixels.astype(jnp.float32)
    hidden = hidden * (1 / 255) if pixels.dtype == jnp.uint8 else hidden
    *inner, (kernel, bias) = zip(variables[::2], variables[1::2], strict=True)
    for layer, (inner_kernel, inner_bias) in enumerate(inner):
        hidden = ACTIVATIONS[activation](hidden @ inner_kernel + inner_bias)
        if activation not in ZERO_AT_ZERO:
            hidden = jnp.where(jnp.arange(hidden.shape[1]) < numbers["units"], hidden, 0)
        hidden = dropped(hidden, layer) if dropped else hidden
    return hidden @ kernel + bias


def _entropies(probabilities: Any, labels: Any, smoothing: Any) -> Any:
    """The cross-entropy of each image, (batch,), as Keras takes it of probabilities (batch, num_classes)."""
    if smoothing is not None:
        true = jax.nn.one_hot(labels, probabilities.shape[1])
        true = true * (1 - smoothing) + smoothing / probabilities.shape[1]
        shares = probabilities / jnp.sum(probabilities, axis=1, keepdims=True)
        return -jnp.sum(true * jnp.log(jnp.clip(shares, EPSILON, 1 - EPSILON)), axis=1)
    is_true = jnp.arange(probabilities.shape[1]) == labels[:, None]
    of_true = jnp.sum(jnp.where(is_true, probabilities, 0), axis=1) / jnp.sum(probabilities, axis=1)
    return -jnp.log(jnp.clip(of_true, EPSILON, 1 - EPSILON))
