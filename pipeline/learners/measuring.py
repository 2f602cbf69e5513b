"""A process of its own that builds a user's models: to count what they cost, to try them before a search.

{"model": {...}, "do": "count", "configuration": ..., "data": ...}       in, standard input, a line each
{"multiply_adds": ...}, {"found": ...} or {"raised": "Traceback ..."}    out, standard output
"""

from __future__ import annotations

import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline.errors import ModelError, StudyError
from pipeline.files import digest
from pipeline.space import Configuration
from pipeline.study import DataShape
from pipeline.training import surroundings
from pipeline.training.surroundings import whole_number

if TYPE_CHECKING:
    import keras

    from pipeline.training.program import Builder

# TensorFlow itself takes 1.1 GiB of data.
MAX_BYTES = 8 * 2**30
MAX_SECONDS = 120
# So many made-up inputs are trained on before a search.
NUM_TRIED = 8


class Measuring:
    """The coordinator's end: starts the process when it is first asked, ends it when it is forgotten.

    Args:
        model: what a learner's `as_settings` gives: what it is made of again.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        self._model = model
        self._process: subprocess.Popen[str] | None = None
        self._counted: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def multiply_adds(self, configuration: Configuration, data: DataShape) -> int:
        """What one input costs, forward; 0 where the model cannot be built."""
        # A configuration is built once, however many epochs it trains.
        key = digest([dict(configuration), list(data.input_shape), data.num_classes])
        if key not in self._counted:
            answer = self._asked({"do": "count", "configuration": dict(configuration), "data": list(data)})
            self._counted[key] = int(answer.get("multiply_adds", 0))
        return self._counted[key]

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the model has; 0 where it cannot be built."""
        key = digest([dict(configuration), list(data.input_shape), data.num_classes])
        if key not in self._sizes:
            answer = self._asked({"do": "size", "configuration": dict(configuration), "data": list(data)})
            self._sizes[key] = int(answer.get("num_weights", 0))
        return self._sizes[key]

    def examine(
        self, configurations: Sequence[Configuration], data: DataShape, metric: str
    ) -> dict[str, Any]:
        """What building, training, saving and loading these shows: see `_examined`.

        Raises:
            ModelError: the user's code raised; its traceback.
        """
        tried = {"configurations": [dict(one) for one in configurations], "data": list(data)}
        return self._found({"do": "examine", **tried, "metric": metric})

    def recorded(self, data: DataShape) -> dict[str, Any]:
        """What a Keras Tuner hypermodel declares; see `hypermodel.recorded`.

        Raises:
            ModelError: the user's code raised; its traceback.
        """
        return self._found({"do": "record", "data": list(data)})

    def _found(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = self._asked(order)
        if "raised" in answer:
            raise ModelError(answer["raised"])
        found: dict[str, Any] = answer["found"]
        return found

    def _asked(self, order: dict[str, Any]) -> dict[str, Any]:
        process = self._process = self._process or self._started()
        assert process.stdin is not None  # noqa: S101  Popen was given pipes
        assert process.stdout is not None  # noqa: S101  likewise
        process.stdin.write(json.dumps({**order, "model": self._model}) + "\n")
        process.stdin.flush()
        seconds = whole_number("STUDY_EXAMINE_SECONDS", 86_400) or MAX_SECONDS
        is_answered, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline() if is_answered else ""
        if not line:
            received = "it died" if is_answered else f"nothing after {seconds} s"
            process.kill()
            self._process = None
            limits = f"{seconds} s (STUDY_EXAMINE_SECONDS) and {MAX_BYTES // 2**30} GiB"
            must = f"the model must be built within {limits}."
            advice = "Narrow the space, or look for what never ends."
            raise StudyError.of(must, received, advice, str(self._model["path"]))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _started(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.learners.measuring"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=surroundings.of_child({"CUDA_VISIBLE_DEVICES": "-1"}),
            start_new_session=True,
        )
        weakref.finalize(self, _end, process)
        return process


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None  # noqa: S101  Popen was given pipes
        pipe.close()


def main() -> None:
    """Answer every order on standard input."""
    reply = os.fdopen(os.dup(1), "w", buffering=1)
    # What the user's code prints must not stand between the answers.
    os.dup2(2, 1)
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    limit = MAX_BYTES if most == resource.RLIM_INFINITY else min(MAX_BYTES, most)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, most))
    for line in sys.stdin:
        reply.write(json.dumps(_answer(json.loads(line))) + "\n")


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    from pipeline.learners import own_code

    shape, num_classes, *sizes = order["data"]
    data = DataShape(tuple(shape), num_classes, *sizes)
    try:
        if order["do"] == "size":
            return {"num_weights": _num_weights(order["model"], order["configuration"], data)}
        if order["do"] == "count":
            return {"multiply_adds": _Trial(order["model"], order["configuration"], data).multiply_adds()}
        if order["do"] == "record":
            from pipeline.learners import hypermodel

            return {"found": hypermodel.recorded(order["model"], data)}
        return {"found": _examined(order["model"], order["configurations"], data, order["metric"])}
    # Whatever the user's code raises is the answer.
    except Exception as error:
        return {"raised": own_code.quoted(error, Path(order["model"].get("root", "")))}


def _num_weights(model: Mapping[str, Any], configuration: Configuration, data: DataShape) -> int:
    from pipeline.learners import again

    builder: Builder = cast("Any", again(model)).given(data)
    built = builder.build(configuration, data.input_shape, data.num_classes, lambda _: 1)
    return int(built.count_params())


class _Trial:
    """One configuration's model, built."""

    def __init__(self, model: Mapping[str, Any], configuration: Configuration, data: DataShape) -> None:
        from pipeline.learners import own_code
        from pipeline.learners.own import OwnModel

        self.learner, self.data = OwnModel.again(model), data
        self.config = own_code.Config(configuration)
        self.configuration = configuration
        self._module = own_code.load(self.learner.path, self.learner.root)

    def build(self) -> keras.Model:
        return self.learner.built(self._module, self.config, self.data.input_shape, self.data.num_classes, 1)

    def train(self, built: keras.Model, inputs: Any, labels: Any, metric: str) -> None:
        """One batch; or one epoch of the user's own loop on no more than that."""
        own = getattr(self._module, "train", None)
        if own is None:
            built.train_on_batch(inputs, labels)
            return
        from pipeline.learners.own_program import OwnData

        split = (inputs, labels)
        given = next(iter(own(built, self.config, OwnData(split, split, self.data.num_classes))))
        if metric not in given:
            raise ValueError(f"train must yield the objective {metric} after each epoch, not {[*given]}")

    def multiply_adds(self) -> int:
        own = getattr(self._module, "cost", None)
        if own is not None:
            return int(own(self.config, self.data.input_shape, self.data.num_classes))
        return multiply_adds(self.build())


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


def _examined(
    model: Mapping[str, Any], configurations: list[Configuration], data: DataShape, metric: str
) -> dict[str, Any]:
    """Build each, train one batch, save it and load it again; tell of the smallest and the largest.

    {"read", "undeclared": names, "lines": what was found, "is_compiled": whether a model keeps its optimizer}
    """
    read: dict[str, None] = {}
    undeclared: dict[str, None] = {}
    sizes, is_compiled = [], False
    for configuration in configurations:
        one = _Trial(model, configuration, data)
        try:
            built = one.build()
        finally:
            # One that is not declared is told before the KeyError that follows from it.
            undeclared |= one.config.undeclared
        is_compiled |= not _tried(one, built, metric)
        read |= one.config.read
        sizes.append((built.count_params(), one.multiply_adds(), configuration))
    sizes.sort(key=lambda size: size[:2])
    words = {"smallest": sizes[0], "largest": sizes[-1]}
    lines = [
        f"{word}: {parameters:,} weights ({4 * parameters / 2**20:.1f} MiB), {cost:,} multiply-adds an input"
        for word, (parameters, cost, _) in words.items()
    ]
    told = {"read": list(read), "undeclared": list(undeclared), "lines": lines}
    return {**told, "is_compiled": is_compiled}


def _tried(one: _Trial, built: keras.Model, metric: str) -> bool:
    """Train one batch, save the weights, load them again; whether the study compiles the model."""
    import numpy as np

    from pipeline.training.fit import compile_as_configured

    is_ours = compile_as_configured(built, one.configuration)
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
    if not np.allclose(built.predict_on_batch(inputs), again.predict_on_batch(inputs), atol=1e-5):
        raise ValueError("the model, saved and loaded again, must give the same answers")
    return is_ours


if __name__ == "__main__":
    main()
