"""What a pool knows of its trials and of its workers."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from pipeline.trial import EpochResult, Trial
from pipeline.workers.process import Process

# A process that waits for an accelerator, or reads its data, has more of a processor than this.
LEAST_SHARE = 0.01


@dataclass
class Job:
    """A trial in flight: which epochs were ordered, which results have come."""

    # What the workers know it by: never used twice, so no late answer is taken for another trial's.
    token: int
    trial: Trial
    began: int
    cost: int
    worker: int
    ordered: int = 0
    # How often a process died in an epoch of it, and how often with its machine.
    deaths: int = 0
    losses: int = 0
    # After a death in a call of several, which may be the fault of any: from then on its fault is its own.
    is_alone: bool = False
    # What its epochs have taken since it was last begun.
    seconds: float = 0.0
    # How it failed first, and on which worker, as long as that is the one that was.
    failure: EpochResult | None = None
    doubted: int | None = None
    # The end of it, whichever epoch is asked for.
    end: EpochResult | None = None
    results: dict[int, EpochResult] = field(default_factory=dict)

    @property
    def due(self) -> int:
        """The virtual time at which the next epoch to order ends."""
        return self.began + (self.ordered + 1) * self.cost

    @property
    def left(self) -> int:
        """What the epochs that are not ordered cost."""
        return (self.trial.epochs - self.ordered) * self.cost


@dataclass
class Worker:
    """A worker process as its coordinator sees it.

    Attributes:
        heard_at: when anything was last heard of it, in seconds that its coordinator has listened.
        starts: how often in a row a process of this place was started.
        orders: token and epoch of what it was told to train and has not answered, the first in work.
        slots: how many trials it trains in one call; 0 until it is ready.
        device: what it trains on, in words.
    """

    process: Process
    heard_at: float
    starts: int = 1
    orders: deque[tuple[int, int]] = field(default_factory=deque)
    slots: int = 0
    device: str = ""
    # Since when it does its first order, on the clock of `heard_at`.
    busy_since: float = 0.0
    cpu_seconds: float = 0.0
    # Why it ends, where that is known before its exit status; and whether none of its trials is to blame.
    last_words: str = ""
    is_dismissed: bool = False

    def is_at_work(self, cpu_seconds: float, sign_seconds: float) -> bool:
        """Whether it does what it was told: a thread that gives signs says nothing of an epoch that hangs.

        Args:
            cpu_seconds: what it has had of the processor so far; its last sign was `sign_seconds` ago.
        """
        used, self.cpu_seconds = cpu_seconds - self.cpu_seconds, cpu_seconds
        return not self.orders or not self.slots or used > LEAST_SHARE * sign_seconds
