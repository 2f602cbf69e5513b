"""Who takes part: the programs, what each needs, and what it is called in the table."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.peers.workload import STUDY

TENSORFLOW: Mapping[str, str] = {"KERAS_BACKEND": "tensorflow"}
JAX: Mapping[str, str] = {"KERAS_BACKEND": "jax"}
NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Contestant:
    """One way to train the list.

    Attributes:
        title: what a reader calls it.
        words: what follows `python -m`.
        environment: variables of its own.
        needs: a package that it cannot do without, and that the project does not bring.
        is_ours: whether it is this project.
    """

    name: str
    title: str
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: TENSORFLOW)
    needs: str = ""
    is_ours: bool = False

    def is_here(self) -> bool:
        """Whether this machine can run it."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None


TUNED = ("benchmarks.peers.with_optuna", "--tuned")
CONTESTANTS = {
    contestant.name: contestant
    for contestant in (
        Contestant("keras_tuner", "Keras Tuner around fit", ("benchmarks.peers.with_keras_tuner",)),
        Contestant("optuna", "Optuna around fit", ("benchmarks.peers.with_optuna",)),
        Contestant("optuna_tuned_tensorflow", "Optuna around a tuned fit, TensorFlow", TUNED),
        Contestant("optuna_tuned_jax", "Optuna around a tuned fit, JAX", TUNED, JAX, "jax"),
        Contestant("ray_tune", "Ray Tune around fit", ("benchmarks.peers.with_ray",), needs="ray"),
        Contestant(
            "ours_tensorflow", "This project, TensorFlow", ("pipeline", "search", STUDY), is_ours=True
        ),
        Contestant("ours_jax", "This project, JAX", ("pipeline", "search", STUDY), JAX, "jax", is_ours=True),
    )
}
