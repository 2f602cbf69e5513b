"""What goes into a network: images, features or tokens; and what of a study is for another kind of data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.errors import Problem, as_toml
from pipeline.space import Hyperparameter
from pipeline.study import DataShape, Study

# What is done to pictures alone.
OF_IMAGES = ("rotation", "zoom", "shift", "augmentation", "patch")


def entrance(shape: tuple[int, ...], is_tokens: bool) -> tuple[Any, Any]:
    """A model's input, and what its layers are given of it: of images, pixels scaled to 0-1."""
    import keras

    if len(shape) == 3:
        pixels = keras.Input(shape, dtype="uint8", name="pixels")
        return pixels, keras.layers.Rescaling(1 / 255, name="scaled")(pixels)
    name, dtype = ("tokens", "int32") if is_tokens else ("features", "float32")
    given = keras.Input(shape, dtype=dtype, name=name)
    return given, given


def unfit(
    study: Study,
    data: DataShape,
    families: Mapping[str, Sequence[str]],
    named: Sequence[str],
    known: Mapping[str, Hyperparameter],
) -> Iterator[Problem]:
    """Each family that a study names, and each hyperparameter, that is for data of another kind.

    Args:
        families: each family's name, and the kinds that it takes.
        named: those that the study trains.
        known: their hyperparameters.
    """
    received = f"{data.kind} of shape {data.input_shape}"
    taking = [name for name, kinds in families.items() if data.kind in kinds]
    for name in named:
        if name not in taking:
            must = f"a family must take the data: {name} takes {' and '.join(families[name])}."
            yield Problem(must, received, f"Write model = {as_toml(taking[0])}.", "model")
    for name in OF_IMAGES if data.kind != "images" else ():
        if name in known and _is_used(name, known[name].default, study):
            yield Problem("must be left out: it is for pictures.", received, f"Remove {name}.", name)


def _is_used(name: str, plain: Any, study: Study) -> bool:
    """Whether a hyperparameter may be anything but its default in some trial of the study."""
    is_given = any(one.get(name, plain) != plain for one in (study.fixed, study.baseline.configuration))
    return is_given or name in study.compared or name in study.space.names
