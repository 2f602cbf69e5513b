"""Keras Tuner behind ask, report and tell: its oracles driven directly, their files thrown away."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from pipeline.engines import MOST_REFUSED, too_many_refused
from pipeline.space import Choice, Dimension, Parent, Range, Space
from pipeline.training.lean import UNUSED, without
from pipeline.trial import Outcome, Trial

# Its Gaussian process needs scikit-learn.
with without(tuple(name for name in UNUSED if name != "sklearn")):
    import keras_tuner
    from keras_tuner import oracles

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
                "seed": assignment.stream(),
                # One failure more than there are trials: our loop decides when to stop.
                "max_consecutive_failed_trials": NO_LIMIT + 1,
            },
        )
        self._oracle.verbose = 0
        # The oracle writes files at every step; they are never read, since its memory is rebuilt by playing.
        folder = tempfile.mkdtemp(prefix="keras-tuner-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._oracle._set_project_dir(Path(folder), "oracle")
        self._asked: dict[int, Any] = {}
        self._num_asked = 0

    def ask(self) -> Trial | None:
        """The next trial that is allowed; None when the trials are spent, or the oracle is or waits.

        Raises:
            StudyError: next to nothing is allowed.
        """
        number = self._num_asked
        for _ in range(MOST_REFUSED):
            if number >= self._assignment.arm.search.trials:
                return None
            # More threads change the last digits of a Gaussian process, and so the trials, by machine.
            with _quiet(), threadpool_limits(1):
                asked = self._oracle.create_trial(f"slot-{number}")
            if asked.status != "RUNNING":
                return None
            values = dict(asked.hyperparameters.values)
            decoded = _decoded(values, self._assignment.space)
            trial = self._assignment.trial(number, decoded, values.get("tuner/epochs"))
            if self._assignment.allows(trial.configuration):
                self._asked[number] = asked
                self._num_asked += 1
                return trial
            self._end(asked, "FAILED", "refused")
        raise too_many_refused(self._assignment)

    def report(self, trial: Trial, epoch: int, score: float) -> bool:  # noqa: ARG002  the seam's names
        """Go on, always: the oracles look at the last score alone."""
        return True

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take the trial's outcome."""
        asked = self._asked.pop(trial.number)
        if outcome.state == "complete":
            with _quiet():
                metrics = {self._assignment.metric: outcome.score}
                self._oracle.update_trial(asked.trial_id, metrics, step=trial.epochs)
        self._end(asked, "COMPLETED" if outcome.state == "complete" else "FAILED", outcome.reason)

    def _end(self, asked: Any, status: str, message: str) -> None:
        asked.status, asked.message = status, message or None
        with _quiet():
            self._oracle.end_trial(asked)


def hyperparameters(space: Space) -> Any:
    """The space in Keras Tuner's words."""
    registered = keras_tuner.HyperParameters()
    for entry in space:
        with ExitStack() as scopes:
            # A parent is known under its own conditions alone, so all are opened, the outermost first.
            for name, at in reversed(_ancestry(entry, space)):
                scopes.enter_context(registered.conditional_scope(name, list(at)))
            _register(registered, entry)
    return registered


def _ancestry(entry: Dimension, space: Space) -> list[Parent]:
    """The conditions at which an entry counts, its own first, then its parent's."""
    if entry.parent is None:
        return []
    parent = next(known for known in space if known.name == entry.parent[0])
    return [entry.parent, *_ancestry(parent, space)]


def _register(registered: Any, entry: Dimension) -> None:
    name, values = entry.name, entry.values
    if isinstance(values, Choice):
        registered.Choice(name, list(values.values))
    elif _is_stepped(values):
        # Keras Tuner counts 0.0, 0.1 ... 0.5 with a rounded division and loses the last: it gets places.
        registered.Int(name, 0, (values.num_points() or 1) - 1)
    elif values.is_int:
        step = None if values.log else int(values.step or 1)
        registered.Int(name, values.low, values.high, step=step, sampling="log" if values.log else "linear")
    else:
        registered.Float(name, values.low, values.high, sampling="log" if values.log else "linear")


def _is_stepped(values: Range) -> bool:
    return values.step is not None and not values.is_int


def _decoded(values: dict[str, Any], space: Space) -> dict[str, Any]:
    """The oracle's values, with places turned into what stands there."""
    ranges = {entry.name: entry.values for entry in space if isinstance(entry.values, Range)}
    stepped = {name: known for name, known in ranges.items() if name in values and _is_stepped(known)}
    return values | {name: known.low + values[name] * (known.step or 0) for name, known in stepped.items()}


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
