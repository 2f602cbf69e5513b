"""Optuna behind ask, report and tell: samplers made afresh for each ask, every setting stated."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

import optuna

from pipeline.engines import MOST_REFUSED, too_many_refused
from pipeline.space import Choice, Dimension, Value
from pipeline.study.tables import LISTING
from pipeline.trial import Outcome, Trial

if TYPE_CHECKING:
    from pipeline.engines import Assignment

# Whose seed a sampler draws from: a trial's number and, from its second proposal on, which one it is.
Names = tuple[int | str, ...]
STATES = {
    "complete": optuna.trial.TrialState.COMPLETE,
    "pruned": optuna.trial.TrialState.PRUNED,
    "failed": optuna.trial.TrialState.FAIL,
}


class OptunaEngine:
    """Proposes trials by an Optuna sampler and prunes by an Optuna pruner.

    The sampler of ask k draws from a seed of its own, so its proposal is a pure function of the history.
    """

    def __init__(self, assignment: Assignment) -> None:
        # It would warn of Sobol points in a conditional space; what they cannot hold is drawn, see `_qmc`.
        optuna.logging.set_verbosity(logging.ERROR)
        self._assignment = assignment
        self._asked: dict[int, optuna.Trial] = {}
        self._num_asked = 0
        arm = assignment.arm
        self._given = list(arm.search.start_with)
        if arm.sampler == "grid":
            # Optuna's own grid repeats a point for every value of a hyperparameter that does not count there.
            self._given += [row for row in assignment.space.grid() or [] if row not in self._given]
        self._given.reverse()
        self.study = optuna.create_study(
            direction="maximize" if assignment.is_maximized else "minimize",
            pruner=PRUNERS[arm.pruner](arm.epochs),
            # Hyperband picks a trial's bracket by this name: arms must differ in nothing but their choice.
            study_name="search",
        )
        for values, score in assignment.earlier:
            known = {entry.name: _distribution(entry) for entry in assignment.space if entry.name in values}
            self.study.add_trial(
                optuna.trial.create_trial(params=dict(values), distributions=known, value=score)
            )

    def ask(self) -> Trial | None:
        """The next trial that is allowed; None when the trials are spent or the grid is.

        Raises:
            StudyError: next to nothing is allowed.
        """
        assignment, number = self._assignment, self._num_asked
        for attempt in range(MOST_REFUSED):
            is_spent = assignment.arm.sampler in LISTING and not self._given
            if number >= assignment.arm.search.trials or is_spent:
                return None
            # What an earlier search of this seed has drawn is not drawn again.
            told = ["told"] if assignment.earlier else []
            asked = self._drawn(number, *told, *([attempt] if attempt else []))
            values: dict[str, Value] = {}
            for entry in assignment.space:
                if entry.is_active(values):
                    values[entry.name] = _suggested(asked, entry)
            trial = assignment.trial(number, values)
            if assignment.allows(trial.configuration):
                self._asked[number] = asked
                self._num_asked += 1
                return trial
            # No sampler learns from a trial that has failed: nobody knows how good it would be.
            self.study.tell(asked, state=optuna.trial.TrialState.FAIL)
        raise too_many_refused(assignment)

    def _drawn(self, *names: int | str) -> optuna.Trial:
        if self._given:
            self.study.enqueue_trial(self._given.pop())
        with _quiet():
            self.study.sampler = SAMPLERS[self._assignment.arm.sampler](self._assignment, names)
        return self.study.ask()

    def report(self, trial: Trial, epoch: int, score: float) -> bool:
        """Take the score after an epoch; False: prune the trial."""
        asked = self._asked[trial.number]
        asked.report(score, epoch)
        return not asked.should_prune()

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take the trial's outcome."""
        value = outcome.score if outcome.state == "complete" else None
        asked = self._asked.pop(trial.number)
        if outcome.reason:
            asked.set_user_attr("reason", outcome.reason)
        self.study.tell(asked, value, STATES[outcome.state])


def _suggested(asked: optuna.Trial, entry: Dimension) -> Value:
    values = entry.values
    if isinstance(values, Choice):
        chosen = asked.suggest_categorical(entry.name, values.values)
        return cast("Value", chosen)
    if values.is_int:
        step = int(values.step or 1)
        return asked.suggest_int(entry.name, int(values.low), int(values.high), step=step, log=values.log)
    return asked.suggest_float(entry.name, values.low, values.high, step=values.step, log=values.log)


def _distribution(entry: Dimension) -> optuna.distributions.BaseDistribution:
    """What `_suggested` draws from."""
    values = entry.values
    if isinstance(values, Choice):
        return optuna.distributions.CategoricalDistribution(values.values)
    if values.is_int:
        low, high, step = int(values.low), int(values.high), int(values.step or 1)
        return optuna.distributions.IntDistribution(low, high, log=values.log, step=step)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=values.log, step=values.step)


def _quiet() -> warnings.catch_warnings[None]:
    """Optuna calls stable parts experimental; no user of ours can act on that."""
    return warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning)


def _tpe(assignment: Assignment, names: Names) -> optuna.samplers.BaseSampler:
    return optuna.samplers.TPESampler(
        n_startup_trials=10,
        n_ei_candidates=24,
        multivariate=True,
        # Without groups a conditional space is sampled parameter by parameter, as if nothing depended.
        group=assignment.space.has_parents,
        constant_liar=True,
        seed=assignment.stream(*names),
    )


def _random(assignment: Assignment, names: Names) -> optuna.samplers.BaseSampler:
    return optuna.samplers.RandomSampler(seed=assignment.stream(*names))


def _qmc(assignment: Assignment, names: Names) -> optuna.samplers.BaseSampler:
    return optuna.samplers.QMCSampler(
        qmc_type="sobol",
        scramble=True,
        # One scrambling for the whole sequence; what the sequence cannot hold is drawn for each trial.
        seed=assignment.stream(),
        independent_sampler=_random(assignment, names),
        warn_asynchronous_seeding=False,
        warn_independent_sampling=False,
    )


SAMPLERS: dict[str, Callable[[Assignment, Names], optuna.samplers.BaseSampler]] = {
    "tpe": _tpe,
    "random": _random,
    "qmc": _qmc,
    # Every point is given, so nothing is left to draw.
    "grid": _random,
    "one_at_a_time": _random,
}

PRUNERS: dict[str, Callable[[int], optuna.pruners.BasePruner]] = {
    "none": lambda _: optuna.pruners.NopPruner(),
    "median": lambda _: optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1),
    "successive_halving": lambda _: optuna.pruners.SuccessiveHalvingPruner(
        min_resource=1, reduction_factor=3
    ),
    "hyperband": lambda epochs: optuna.pruners.HyperbandPruner(
        min_resource=1, max_resource=epochs, reduction_factor=3
    ),
}
