"""Images turned, zoomed and shifted at random, anew in each step of training and never outside of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pipeline.space import Configuration, Hyperparameter

if TYPE_CHECKING:
    from pipeline.training.program import SeedOf

# What each word stands for; the unit of `rotation` is a full turn, so that 10 degrees are 10 / 360.
PRESETS: Mapping[str, Mapping[str, float]] = {"none": {}, "course": {"rotation": 10 / 360, "zoom": 0.1}}
# Beside `rotation` and `zoom`, which every configuration has.
OPTIONAL: Mapping[str, Hyperparameter] = {
    "shift": Hyperparameter(float, 0.0, 0, 0.9),
    "augmentation": Hyperparameter(str, "none", words=tuple(PRESETS)),
}


def amounts(configuration: Configuration) -> dict[str, float]:
    """How far images are moved, by the name of the way: {} where they stay as they are.

    rotation: at most so much of a full turn either way; zoom, shift: of the image's size.
    """
    given = {name: float(configuration.get(name, 0)) for name in ("rotation", "zoom", "shift")}
    preset = PRESETS[str(configuration.get("augmentation", "none"))]
    return {name: amount for name, amount in {**given, **preset}.items() if amount}


def layers(configuration: Configuration, seed_of: SeedOf) -> Iterator[Any]:
    """From scaled images to scaled images, black where nothing was."""
    import keras

    found = amounts(configuration)
    if "rotation" in found:
        yield keras.layers.RandomRotation(
            found["rotation"], fill_mode="constant", seed=seed_of("rotation"), name="rotation"
        )
    if "zoom" in found:
        yield keras.layers.RandomZoom(found["zoom"], fill_mode="constant", seed=seed_of("zoom"), name="zoom")
    if "shift" in found:
        yield keras.layers.RandomTranslation(
            found["shift"], found["shift"], fill_mode="constant", seed=seed_of("shift"), name="shift"
        )
