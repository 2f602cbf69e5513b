"""A model of the user's own tried before a search, in a process for that: built, trained and saved."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import shortened
from pipeline.learners import own_code
from pipeline.learners.own import OwnModel
from pipeline.learners.own_program import OwnData, metrics_of
from pipeline.space import Configuration
from pipeline.study import DataShape
from pipeline.training.fit import compile_as_configured
from pipeline.training.lean import keras
from pipeline.training.serving import cause

# So many made-up inputs are trained on.
NUM_TRIED = 8
# How far the probabilities of an input may add up to something else than 1.
OFF_ONE = 1e-3


class Trial:
    """One configuration's model, built."""

    def __init__(self, model: Mapping[str, Any], configuration: Configuration, data: DataShape) -> None:
        self.learner, self.data = OwnModel.again(model), data
        self.config = own_code.Config(configuration)
        self.configuration = configuration
        self._module = own_code.load(self.learner.path, self.learner.root)

    def build(self) -> keras.Model:
        """The model, checked and seeded alike each time."""
        return self.learner.built(self._module, self.config, self.data.input_shape, self.data.num_classes, 1)

    def train(self, built: keras.Model, inputs: Any, labels: Any, metric: str) -> None:
        """One batch; or one epoch of the user's own loop on no more than that."""
        train = own_code.loop_of(self._module)
        if train is None:
            built.train_on_batch(inputs, labels)
            return
        split = (inputs, labels)
        own = OwnData(split, split, self.data.num_classes)
        given = next(metrics_of(train, built, self.config, own), {})
        if metric not in given:
            must = f"must yield the objective {metric} after each epoch, not {[*given]}"
            raise ValueError(f"{own_code.place(train)}: {must}")

    def multiply_adds(self) -> int:
        """What one input costs, forward: by the file's own `cost`, else counted."""
        own = getattr(self._module, "cost", None)
        if own is not None:
            return int(own_code.called(own, self.config, self.data.input_shape, self.data.num_classes))
        return multiply_adds(self.build())

    def place(self) -> str:
        """Where the user's function stands, to begin a message."""
        return own_code.place(getattr(self._module, self.learner.function))


def multiply_adds(model: keras.Model) -> int:
    """What one input costs, forward: of each layer its weights times the positions of its output.

    Positions are all axes but the batch and the last; where a layer reads more of them than it gives, as a
    recurrent one that returns its last state, those that it reads.
    """
    total = 0
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if list(layer._flatten_layers(include_self=False, recursive=False)) and not hasattr(layer, "cell"):
            continue
        num_weights = sum(prod(weight.shape) for weight in layer.weights)
        total += num_weights * max(_positions(layer, "input"), _positions(layer, "output"))
    return int(total)


def _positions(layer: Any, side: str) -> int:
    """How many positions a layer reads or gives; 1 where it does not say."""
    try:
        shape = getattr(layer, side).shape
    # Layers of a subclassed model, and those with several inputs, have no such tensor.
    except (AttributeError, ValueError):
        return 1
    return max(int(prod(size or 1 for size in shape[1:-1])), 1)


def examined(
    model: Mapping[str, Any], configurations: list[Configuration], data: DataShape, metric: str
) -> dict[str, Any]:
    """Build each, train one batch, save it and load it again; tell of the smallest and the largest.

    {"read", "undeclared": names, "lines": what was found, "is_compiled": whether a model keeps its optimizer}
    """
    read: dict[str, None] = {}
    undeclared: dict[str, None] = {}
    warnings: dict[str, None] = {}
    sizes, is_compiled = [], False
    for configuration in configurations:
        one = Trial(model, configuration, data)
        try:
            built = one.build()
            is_compiled |= not compile_as_configured(built, configuration)
            warnings |= tried(one, built, metric)
        finally:
            # One that is not declared is told before the KeyError that follows from it.
            undeclared |= one.config.undeclared
        read |= one.config.read
        sizes.append((built.count_params(), one.multiply_adds(), configuration))
    sizes.sort(key=lambda size: size[:2])
    words = {"smallest": sizes[0], "largest": sizes[-1]}
    lines = [
        f"{word}: {parameters:,} weights ({4 * parameters / 2**20:.1f} MiB), {cost:,} multiply-adds an input"
        for word, (parameters, cost, _) in words.items()
    ]
    told = {"read": list(read), "undeclared": list(undeclared), "lines": [*lines, *[*warnings][:1]]}
    return {**told, "is_compiled": is_compiled}


def tried(one: Trial, built: keras.Model, metric: str) -> dict[str, None]:
    """Train one batch, save the weights, load them into the model built again; what there is to warn of.

    Raises:
        ValueError: it gives no probabilities, or other ones once it is loaded.
    """
    generator = np.random.default_rng(1)
    shape = (NUM_TRIED, *one.data.input_shape)
    if one.data.kind == "images":
        inputs: Any = generator.integers(0, 256, shape, dtype=np.uint8)
    elif one.data.kind == "tokens":
        inputs = generator.integers(1, one.data.vocabulary, shape, dtype=np.int32)
    else:
        inputs = generator.standard_normal(shape, dtype=np.float32)
    labels = generator.integers(0, one.data.num_classes, NUM_TRIED)
    one.train(built, inputs, labels, metric)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tried.weights.h5"
        built.save_weights(path)
        again = one.build()
        again.load_weights(path)
    answers = built.predict_on_batch(inputs)
    # A rate at the end of the space may have made them no numbers, which its trial will say.
    finite = answers[np.isfinite(answers).all(axis=1)]
    if (finite < 0).any() or (np.abs(finite.sum(axis=1) - 1) > OFF_ONE).any():
        must = "the model must give probabilities that add up to 1: let it end with softmax"
        raise ValueError(f"{one.place()}: {must} (and compile it without from_logits)")
    if not np.allclose(answers, again.predict_on_batch(inputs), atol=1e-5, equal_nan=True):
        raise ValueError(f"{one.place()}: the model, saved and loaded again, must give the same answers")
    return dict.fromkeys(_unloadable(one, built))


def _unloadable(one: Trial, built: keras.Model) -> Iterator[str]:
    """Why `study predict` cannot load the model: it does so in safe mode, without the user's files.

    Raises:
        ValueError: it cannot even be described, as confirm does of the winner's.
    """
    try:
        described = keras.saving.serialize_keras_object(built)
    except Exception as error:
        must = "the model must be one that Keras can describe: give its own layers a get_config"
        raise ValueError(f"{one.place()}: {must} ({shortened(error, 80)})") from None
    with own_code.without(one.learner.root):
        try:
            keras.saving.deserialize_keras_object(described, safe_mode=True)
        # Whatever Keras stumbles on here, it would there.
        except Exception as error:
            what = "it holds code of its own, so `study predict` will not load it; the other stages work"
            advice = "Make it of Keras' own layers and keras.ops, without Lambda"
            yield f"Warning, {one.place()}: {what}. {advice}. Keras says: {shortened(cause(error), 160)}"
