"""The virtual clock: the order in which epochs end, a pure function of configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import StoreError
from pipeline.trial import EpochResult, Outcome, Trial


class WorkerPool(Protocol):
    """Who really trains: processes on this machine, or a fake in a test.

    Its results are pure functions of the trial; when and where they are computed is its own business.

    Attributes:
        log_folder: where what trains writes what it has to say.
    """

    log_folder: Path

    def start(self, trial: Trial, began: int, cost: int) -> None:
        """Take a trial; its epoch k is due at `began + k * cost`."""

    def result(self, number: int, epoch: int) -> EpochResult:
        """Wait for one epoch of a trial that was started."""

    def stop(self, number: int) -> None:
        """Forget a trial."""


@dataclass
class _Flight:
    """A trial in flight: it began at a virtual time and has handed over so many epochs."""

    trial: Trial
    began: int
    cost: int
    epoch: int = 0
    is_started: bool = False

    @property
    def due(self) -> int:
        return self.began + (self.epoch + 1) * self.cost


class VirtualTrainer:
    """Hands results over as if each trial in flight had a core of its own.

    What an earlier run has recorded is handed over at its own virtual time without being trained again;
    so a search that was stopped goes through the same asks, reports and tells as one that was not.

    Args:
        pool: who trains.
        cost: a trial to the cost of one of its epochs, a positive integer.
        recorded: outcomes by number that an earlier run of the same search has kept.
        where: what a message calls the record.

    Raises:
        StoreError: on `admit`, if the record holds another trial under this number.
    """

    def __init__(
        self,
        pool: WorkerPool,
        cost: Callable[[Trial], int],
        recorded: Mapping[int, Outcome] | None = None,
        where: str = "",
    ) -> None:
        self._pool = pool
        self._cost = cost
        self._recorded = recorded or {}
        self._where = where
        self._flights: dict[int, _Flight] = {}
        self._now = 0

    def admit(self, trial: Trial) -> None:
        """Put a trial in flight, from the virtual time of the last result."""
        flight = _Flight(trial, self._now, self._cost(trial))
        known = self._recorded.get(trial.number)
        if known is None:
            self._start(flight)
        elif known.trial != trial:
            raise StoreError.of(
                f"trial {trial.number} must be the one that the record holds.",
                dict(trial.values),
                "Another program made the record, or a hand changed it: remove its folder, search again.",
                self._where,
            )
        self._flights[trial.number] = flight

    def advance(self) -> EpochResult:
        """The next epoch to end, by the virtual clock; of equals the trial with the lowest number."""
        flight = min(self._flights.values(), key=lambda flight: (flight.due, flight.trial.number))
        self._now = flight.due
        flight.epoch += 1
        return self._remembered(flight) or self._trained(flight)

    def evict(self, trial: Trial) -> None:
        """Take a trial out of flight."""
        flight = self._flights.pop(trial.number)
        if flight.is_started:
            self._pool.stop(trial.number)

    def _remembered(self, flight: _Flight) -> EpochResult | None:
        known = self._recorded.get(flight.trial.number)
        if known is None or flight.is_started:
            return None
        number, epoch, device = known.trial.number, flight.epoch, known.device
        if epoch <= len(known.curve):
            seconds = known.seconds / len(known.curve)
            weights = known.weights_sha256 if epoch == len(known.curve) else ""
            return EpochResult(
                number, epoch, known.curve[epoch - 1], seconds, weights_sha256=weights, device=device
            )
        if known.state == "failed":
            return EpochResult(
                number, epoch, reason=known.reason, is_accident=known.is_accident, device=device
            )
        return None

    def _trained(self, flight: _Flight) -> EpochResult:
        # A recorded trial that was pruned may have to go further when the search around it has grown.
        if not flight.is_started:
            self._start(flight)
        return self._pool.result(flight.trial.number, flight.epoch)

    def _start(self, flight: _Flight) -> None:
        flight.is_started = True
        self._pool.start(flight.trial, flight.began, flight.cost)
