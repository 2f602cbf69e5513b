"""The virtual clock: the order in which epochs end, a pure function of configurations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import StoreError
from pipeline.trial import EpochResult, Outcome, Trial


class Crew(Protocol):
    """Who really trains: processes on this machine, or a fake in a test.

    Its results are pure functions of the trial; when and where they are computed is its own business.
    """

    def start(self, trial: Trial, began: int, price: int) -> None:
        """Take a trial; its epoch k is due at `began + k * price`."""

    def result(self, number: int, epoch: int) -> EpochResult:
        """Wait for one epoch of a trial that was started."""

    def stop(self, number: int) -> None:
        """Forget a trial."""


@dataclass
class _Lane:
    """A trial in flight: it began at a virtual time and has handed over so many epochs."""

    trial: Trial
    began: int
    price: int
    epoch: int = 0
    is_started: bool = False

    @property
    def due(self) -> int:
        return self.began + (self.epoch + 1) * self.price


class VirtualTrainer:
    """Hands results over as if each trial in flight had a core of its own.

    What an earlier run has recorded is handed over at its own virtual time without being trained again;
    so a search that was stopped goes through the same asks, reports and tells as one that was not.

    Args:
        crew: who trains.
        price: a trial to the price of one of its epochs, a positive integer.
        recorded: outcomes by number that an earlier run of the same search has kept.
        where: what a message calls the record.

    Raises:
        StoreError: on `admit`, if the record holds another trial under this number.
    """

    def __init__(
        self,
        crew: Crew,
        price: Callable[[Trial], int],
        recorded: Mapping[int, Outcome] | None = None,
        where: str = "",
    ) -> None:
        self._crew = crew
        self._price = price
        self._recorded = recorded or {}
        self._where = where
        self._lanes: dict[int, _Lane] = {}
        self._now = 0

    def admit(self, trial: Trial) -> None:
        """Put a trial in flight, from the virtual time of the last result."""
        lane = _Lane(trial, self._now, self._price(trial))
        known = self._recorded.get(trial.number)
        if known is None:
            self._start(lane)
        elif known.trial != trial:
            raise StoreError.of(
                f"trial {trial.number} must be the one that the record holds.",
                dict(trial.values),
                "Another program made the record, or a hand changed it: remove its folder, search again.",
                self._where,
            )
        self._lanes[trial.number] = lane

    def advance(self) -> EpochResult:
        """The next epoch to end, by the virtual clock; of equals the trial with the lowest number."""
        lane = min(self._lanes.values(), key=lambda lane: (lane.due, lane.trial.number))
        self._now = lane.due
        lane.epoch += 1
        return self._remembered(lane) or self._trained(lane)

    def evict(self, trial: Trial) -> None:
        """Take a trial out of flight."""
        lane = self._lanes.pop(trial.number)
        if lane.is_started:
            self._crew.stop(trial.number)

    def _remembered(self, lane: _Lane) -> EpochResult | None:
        known = self._recorded.get(lane.trial.number)
        if known is None or lane.is_started:
            return None
        if lane.epoch <= len(known.curve):
            seconds = known.seconds / len(known.curve)
            metrics = known.curve[lane.epoch - 1]
            weights = known.weights_sha256 if lane.epoch == len(known.curve) else ""
            return EpochResult(known.trial.number, lane.epoch, metrics, seconds, weights_sha256=weights)
        if known.state == "failed":
            number, reason = known.trial.number, known.reason
            return EpochResult(number, lane.epoch, reason=reason, is_accident=known.is_accident)
        return None

    def _trained(self, lane: _Lane) -> EpochResult:
        # A recorded trial that was pruned may have to go further when the search around it has grown.
        if not lane.is_started:
            self._start(lane)
        return self._crew.result(lane.trial.number, lane.epoch)

    def _start(self, lane: _Lane) -> None:
        lane.is_started = True
        self._crew.start(lane.trial, lane.began, lane.price)
