"""A Keras Tuner hypermodel as a model of one's own: built of a configuration, or asked what it declares."""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.learners import own_code
from pipeline.study import DataShape
from pipeline.training.lean import UNUSED, without

with without(UNUSED):
    import keras_tuner

if TYPE_CHECKING:
    import keras

    from pipeline.training.program import Shape

# Of a range of so many numbers each is tried by itself, of a longer one its two ends.
MOST_TRIED = 8
NUM_RANDOM = 24
MAX_BUILDS = 300
ALMOST_ONE = 1 - 1e-9
OPEN = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
RESCALING = ("Rescaling", "Normalization")


class Given(keras_tuner.HyperParameters):  # type: ignore[misc]  # the package ships no types
    """Hyperparameters whose values are a configuration's; one that it does not have is an error."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        self._config = config

    def _retrieve(self, hp: Any) -> Any:
        """What each of Int, Float, Choice, Boolean and Fixed answers."""
        # One that does not count here is declared all the same, which is as good as read.
        value = self._config[hp.name]
        if self.is_active(hp):
            # A study file has no truth values: they are 0 and 1 there.
            self.values[hp.name] = bool(value) if isinstance(hp.default, bool) else value
        return super()._retrieve(hp)


class Recorder(Given):
    """Hyperparameters that note what is declared and where; what they are not given has its default."""

    def __init__(self, values: Mapping[str, Any], root: Path) -> None:
        super().__init__(dict(values))
        self._root = root
        self.declared: list[dict[str, Any]] = []

    def _retrieve(self, hp: Any) -> Any:
        self._config = {hp.name: hp.default, **self._config}
        conditions = [[one.name, [_plain(value) for value in one.values]] for one in hp.conditions]
        noted = {"name": hp.name, "entry": _entry(hp), "default": _plain(hp.default)}
        self.declared.append({**noted, "conditions": conditions, "place": _place(self._root)})
        return super()._retrieve(hp)


def built(made: Any, config: Mapping[str, Any], shape: Shape, num_classes: int) -> keras.Model:
    """What a hypermodel makes of a configuration.

    Args:
        made: a function of hp, a HyperModel, or a class of them, whose constructor is given input_shape and
            num_classes (or classes) where it takes them.
    """
    return _build(_hypermodel(made, shape, num_classes), Given(config))


def _hypermodel(made: Any, shape: Shape, num_classes: int) -> Any:
    if not inspect.isclass(made):
        return made
    known = {"input_shape": tuple(shape), "num_classes": num_classes, "classes": num_classes}
    taken = inspect.signature(made).parameters
    needed = [name for name, one in taken.items() if one.default is one.empty and one.kind not in OPEN]
    if lacking := [name for name in needed if name not in known]:
        line, names = made.__init__.__code__.co_firstlineno, ", ".join(lacking)
        raise TypeError(f"line {line}: {made.__name__} must be made without {names}: give it a default")
    return made(**{name: value for name, value in known.items() if name in taken})


def _build(hypermodel: Any, hp: keras_tuner.HyperParameters) -> Any:
    if not isinstance(hypermodel, keras_tuner.HyperModel):
        return hypermodel(hp)
    hypermodel.declare_hyperparameters(hp)
    return hypermodel.build(hp)


def recorded(model: Mapping[str, Any], data: DataShape) -> dict[str, Any]:
    """What a hypermodel declares, built at many configurations, as a JSON value.

    "builds": the values and the declarations of each, the defaults first; "fit": where it replaces `fit`;
    "compiled", "rescales": whether the model is compiled, and whether it has a layer that rescales.
    """
    import keras

    path, root = Path(model["path"]), Path(model["root"])
    made = getattr(own_code.load(path, root), model["function"])
    hypermodel = _hypermodel(made, data.input_shape, data.num_classes)
    first = _build(hypermodel, Recorder({}, root))
    if not isinstance(first, keras.Model):
        raise TypeError(f"{model['function']} must return a keras.Model, not {type(first).__name__}")
    # Models are thrown away one by one below; looking for them among all of TensorFlow would take far longer.
    gc.freeze()
    layers = {type(layer).__name__ for layer in first._flatten_layers()}

    def build(values: Mapping[str, Any]) -> Recorder:
        keras.utils.clear_session()
        hp = Recorder(values, root)
        try:
            _build(hypermodel, hp)
        except Exception as error:
            error.add_note(f"It was built with {hp.values}.")
            raise
        return hp

    builds = [
        {"values": {name: _plain(value) for name, value in hp.values.items()}, "declared": hp.declared}
        for hp in _explored(build)
    ]
    told = {"fit": _own_fit(hypermodel), "compiled": first.compiled, "rescales": bool(layers & {*RESCALING})}
    return {"builds": builds, **told}


def _explored(build: Callable[[Mapping[str, Any]], Recorder]) -> Iterator[Recorder]:
    """The defaults; each value of each hyperparameter where it was met; the corners; and some at random."""
    met: dict[str, Any] = {}
    waiting: list[dict[str, Any]] = [{}]
    generator, is_drawn = np.random.default_rng(1), False
    for _ in range(MAX_BUILDS):
        if not waiting and not is_drawn:
            ends = [{name: hp.prob_to_value(end) for name, hp in met.items()} for end in (0.0, ALMOST_ONE)]
            rows = [dict(zip(met, generator.random(len(met)), strict=True)) for _ in range(NUM_RANDOM)]
            drawn = [{name: met[name].prob_to_value(float(row[name])) for name in met} for row in rows]
            waiting, is_drawn = [*ends, *drawn], True
        if not waiting:
            return
        one = build(waiting.pop(0))
        yield one
        for hp in one.space:
            if hp.name not in met and one.is_active(hp):
                met[hp.name] = hp
                waiting += [{**one.values, hp.name: value} for value in _tried(hp)]


def _tried(hp: Any) -> list[Any]:
    """The values of a hyperparameter that are each tried by itself."""
    values = list(hp.values) if not hasattr(hp, "min_value") else _spread(hp)
    return [value for value in values if value != hp.default]


def _spread(hp: Any) -> list[Any]:
    """Every number of a short range, the two ends of a longer one."""
    shares = np.linspace(0.0, ALMOST_ONE, MOST_TRIED + 1)
    numbers = list(dict.fromkeys(hp.prob_to_value(float(share)) for share in shares))
    return numbers if len(numbers) <= MOST_TRIED else [numbers[0], numbers[-1]]


def _entry(hp: Any) -> dict[str, Any]:
    """A hyperparameter as a study file's [space] has it; {"fixed": value} where nothing is to be searched."""
    kind = type(hp).__name__.lower()
    if not hasattr(hp, "min_value"):
        values = [_plain(value) for value in hp.values]
        return {"fixed": values[0]} if kind == "fixed" else {"choice": values}
    low, high, step = hp.min_value, hp.max_value, hp.step
    number = type(low)
    if step is not None and hp.sampling == "log":
        # A study's ranges have no factor between two values, so they are listed.
        return {"choice": [number(float(f"{value:.12g}")) for value in hp.values]}
    if step is not None:
        # Keras Tuner never takes an end that lies between two steps.
        width, stride = Fraction(str(high)) - Fraction(str(low)), Fraction(str(step))
        high = number(Fraction(str(low)) + width // stride * stride)
    if low == high:
        return {"fixed": low}
    steps = {} if step is None or (kind, step) == ("int", 1) else {"step": step}
    scale = {} if hp.sampling == "linear" else {hp.sampling: True}
    return {kind: [low, high], **steps, **scale}


def _plain(value: Any) -> Any:
    """A value as a study file spells it, which has no truth values."""
    return int(value) if isinstance(value, bool) else value


def _own_fit(hypermodel: Any) -> tuple[str, int] | None:
    """Where a hypermodel replaces Keras Tuner's `fit`."""
    code = getattr(getattr(type(hypermodel), "fit", None), "__code__", None)
    if code is None or code is keras_tuner.HyperModel.fit.__code__:
        return None
    return code.co_filename, code.co_firstlineno


def _place(root: Path) -> tuple[str, int] | None:
    """File and line of the innermost caller that is the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not own_code.is_users(Path(frame.f_code.co_filename), root):
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno) if frame else None
