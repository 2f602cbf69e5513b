"""Keras Tuner behind ask, report and tell: its oracles driven directly, their files thrown away."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner
from keras_tuner import oracles

from pipeline import seeds
from pipeline.space import Choice, Space
from pipeline.trial import Outcome, Trial

if TYPE_CHECKING:
    from pipeline.engines import Assignment

# The oracle formats its trials' names by this number and stops there; the engine counts the budget itself,
# so that a study with more trials goes through the same sequence.
NO_LIMIT = 1_000_000


class KerasTunerEngine:
    """Proposes trials by a Keras Tuner oracle. Keras Tuner does not prune.

    Its hyperband gives each trial its number of epochs. A promoted trial is trained from its first epoch with
    seeds of its own, where Keras Tuner would go on from the weights of the trial that it promotes.
    """

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._oracle = ORACLES[assignment.arm.sampler](
            assignment.arm.epochs,
            {
                "objective": keras_tuner.Objective(
                    assignment.metric, "max" if assignment.is_maximized else "min"
                ),
                "hyperparameters": hyperparameters(assignment.space),
                "allow_new_entries": False,
                "tune_new_entries": False,
                "seed": seeds.stream(assignment.seed, "sampler"),
                # One failure more than there are trials: our loop decides when to stop.
                "max_consecutive_failed_trials": NO_LIMIT + 1,
            },
        )
        self._oracle.verbose = 0
        # The oracle writes files at every step; they are never read, since its memory is rebuilt by playing.
        self._folder = tempfile.TemporaryDirectory(prefix="keras-tuner-")
        self._oracle._set_project_dir(Path(self._folder.name), "oracle")
        self._asked: dict[int, Any] = {}
        self._num_asked = 0

    def ask(self) -> Trial | None:
        """The next trial; None when the trials are spent, the oracle is, or it waits for an outcome."""
        if self._num_asked >= self._assignment.arm.search.trials:
            return None
        number = self._num_asked
        with _quiet():
            asked = self._oracle.create_trial(f"slot-{number}")
        if asked.status != "RUNNING":
            return None
        self._asked[number] = asked
        self._num_asked += 1
        values = dict(asked.hyperparameters.values)
        return self._assignment.trial(number, values, values.get("tuner/epochs"))

    def report(self, trial: Trial, epoch: int, score: float) -> bool:  # noqa: ARG002  the seam's names
        """Go on, always: the oracles look at the last score alone."""
        return True

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take the trial's outcome."""
        asked = self._asked.pop(trial.number)
        with _quiet():
            if outcome.state == "complete":
                metrics = {self._assignment.metric: outcome.score}
                self._oracle.update_trial(asked.trial_id, metrics, step=trial.epochs)
                asked.status = "COMPLETED"
            else:
                asked.status, asked.message = "FAILED", outcome.reason
            self._oracle.end_trial(asked)


def hyperparameters(space: Space) -> Any:
    """The space in Keras Tuner's words."""
    registered = keras_tuner.HyperParameters()
    for entry in space:
        if entry.parent:
            with registered.conditional_scope(entry.parent[0], list(entry.parent[1])):
                _register(registered, entry.name, entry.values)
        else:
            _register(registered, entry.name, entry.values)
    return registered


def _register(registered: Any, name: str, values: Any) -> None:
    if isinstance(values, Choice):
        registered.Choice(name, list(values.values))
        return
    kind = registered.Int if values.is_int else registered.Float
    sampling = "log" if values.log else "linear"
    step = None if values.log else values.step
    if values.is_int and not values.log:
        step = int(values.step or 1)
    kind(name, values.low, values.high, step=step, sampling=sampling)


def _quiet() -> warnings.catch_warnings[None]:
    """Keras Tuner calls names that Python has deprecated; no user of ours can mend that."""
    return warnings.catch_warnings(action="ignore")


ORACLES: dict[str, Callable[[int, dict[str, Any]], Any]] = {
    "bayesian": lambda _, settings: oracles.BayesianOptimizationOracle(max_trials=NO_LIMIT, **settings),
    "random": lambda _, settings: oracles.RandomSearchOracle(max_trials=NO_LIMIT, **settings),
    "grid": lambda _, settings: oracles.GridSearchOracle(max_trials=NO_LIMIT, **settings),
    # As many sweeps as the budget has room for.
    "hyperband": lambda epochs, settings: oracles.HyperbandOracle(
        max_epochs=epochs, factor=3, hyperband_iterations=NO_LIMIT, **settings
    ),
}
