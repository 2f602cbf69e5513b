"""How trials are spent: the one loop. It knows no framework; engine, trainer and record are handed to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pipeline.trial import At, EpochResult, Metrics, Outcome, State, Trial, is_finite, is_over, scored_epoch

# What the reason of a trial begins with whose metrics are no numbers any more.
DIVERGED = "diverged at epoch"


class Engine(Protocol):
    """Proposes trials: Optuna, Keras Tuner, a list, or a script in a test."""

    def ask(self) -> Trial | None:
        """The next trial, or None while there is none to try (for good, if nothing is in flight)."""

    def report(self, trial: Trial, epoch: int, score: float) -> bool:
        """Take the score after an epoch; False: prune the trial."""

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Take the trial's outcome."""


class Trainer(Protocol):
    """Trains trials side by side."""

    def admit(self, trial: Trial) -> None:
        """Put a trial in flight."""

    def advance(self) -> EpochResult:
        """The next epoch to end, by the virtual clock."""

    def evict(self, trial: Trial) -> None:
        """Take a trial out of flight."""


class Listed:
    """An engine that proposes a given list in its order and prunes nothing."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self._left = list(reversed(trials))

    def ask(self) -> Trial | None:
        """The next trial of the list."""
        return self._left.pop() if self._left else None

    def report(self, trial: Trial, epoch: int, score: float) -> bool:  # noqa: ARG002  the seam's names
        """Go on, always."""
        return True

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        """Nothing depends on an outcome."""


@dataclass(frozen=True)
class Rules:
    """What the loop needs to know of a study.

    Attributes:
        metric: the objective's name in the metrics of an epoch.
        is_maximized: whether more is better.
        parallel: trials in flight.
        patience: ask for no more after so many outcomes without a better score; None: never stop so.
        at: the epoch whose score is the trial's.
    """

    metric: str
    is_maximized: bool
    parallel: int
    patience: int | None = None
    at: At = "last"


def _never(num_outcomes: int) -> bool:  # noqa: ARG001  the seam's name
    return False


def _silent(result: EpochResult) -> None:
    """Nobody looks on."""


@dataclass
class Loop:
    """One search: admits, takes the next result, reports it, evicts, records, tells.

    Attributes:
        keep: records an outcome safely, before the engine hears of it.
        watch: sees every epoch's result as it is handed over.
        is_time_up: asked with the number of outcomes so far; True cuts the search there.
    """

    engine: Engine
    trainer: Trainer
    rules: Rules
    keep: Callable[[Outcome], None]
    watch: Callable[[EpochResult], None] = _silent
    is_time_up: Callable[[int], bool] = _never
    _flying: dict[int, Trial] = field(default_factory=dict)
    _curves: dict[int, list[EpochResult]] = field(default_factory=dict)
    _outcomes: list[Outcome] = field(default_factory=list)
    _since_best: int = 0
    _best: float | None = None
    _is_stuck: bool = False

    def run(self) -> list[Outcome]:
        """Spend the budget; the outcomes in the order in which they were told."""
        while self._admit():
            if self.is_time_up(len(self._outcomes)):
                self._drop()
                break
            result = self.trainer.advance()
            self.watch(result)
            self._take(result)
        return self._outcomes

    def _admit(self) -> bool:
        """Fill the places in flight; whether anything is in flight."""
        while len(self._flying) < self.rules.parallel and not self._is_stuck:
            trial = self.engine.ask()
            if trial is None:
                break
            self._flying[trial.number] = trial
            self._curves[trial.number] = []
            self.trainer.admit(trial)
        return bool(self._flying)

    def _drop(self) -> None:
        """Cut here: what is in flight counts for nothing, so a shorter search begins a longer one."""
        for trial in list(self._flying.values()):
            self.trainer.evict(trial)
        self._flying.clear()

    def _take(self, result: EpochResult) -> None:
        trial = self._flying[result.number]
        outcome = self._judged(trial, result)
        if outcome is None:
            return
        self.trainer.evict(trial)
        del self._flying[trial.number], self._curves[trial.number]
        self._outcomes.append(outcome)
        self._note(outcome)
        self.keep(outcome)
        self.engine.tell(trial, outcome)

    def _judged(self, trial: Trial, result: EpochResult) -> Outcome | None:
        """The trial's outcome, if this result ends it."""
        curve = self._curves[trial.number]
        if result.reason or not is_finite(result.metrics):
            reason = result.reason or f"{DIVERGED} {result.epoch}: {_not_finite(result.metrics)}"
            return self._outcome(trial, "failed", reason, result)
        curve.append(result)
        scores = [one.metrics[self.rules.metric] for one in curve]
        is_wanted = self.engine.report(trial, result.epoch, scores[-1])
        if is_over(trial, scores, self.rules.is_maximized):
            return self._outcome(trial, "complete", "", result)
        reason = f"pruned at epoch {result.epoch}"
        return None if is_wanted else self._outcome(trial, "pruned", reason, result)

    def _outcome(self, trial: Trial, state: State, reason: str, last: EpochResult) -> Outcome:
        results = self._curves[trial.number]
        curve: tuple[Metrics, ...] = tuple(result.metrics for result in results)
        score, epoch = None, None
        if curve and state != "failed":
            scores = [metrics[self.rules.metric] for metrics in curve]
            epoch = scored_epoch(scores, self.rules.is_maximized, self.rules.at)
            score = scores[epoch - 1]
        seconds = sum(result.seconds for result in results)
        sha256 = last.weights_sha256 if state == "complete" else ""
        is_accident, device = last.is_accident, last.device
        return Outcome(trial, state, curve, score, reason, seconds, is_accident, sha256, epoch, device)

    def _note(self, outcome: Outcome) -> None:
        self._since_best += 1
        sign = 1 if self.rules.is_maximized else -1
        score = outcome.score if outcome.state == "complete" else None
        if score is not None and (self._best is None or sign * score > sign * self._best):
            self._best, self._since_best = score, 0
        # For good, whatever the trials in flight find: so a search with more patience goes on from here.
        self._is_stuck = self._is_stuck or self._since_best == self.rules.patience


def _not_finite(metrics: Metrics) -> str:
    return ", ".join(f"{name} is {value}" for name, value in metrics.items() if not is_finite({name: value}))
