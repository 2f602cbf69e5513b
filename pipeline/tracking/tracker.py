"""The tracker: takes outcomes at once, and delivers them from one thread for as long as the stage runs."""

from __future__ import annotations

import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.errors import hidden, scrubbed, shortened
from pipeline.tracking.entry import entry_of
from pipeline.tracking.facts import StageFacts
from pipeline.tracking.runs import StageRuns
from pipeline.tracking.store import check_store, connect
from pipeline.trial import Outcome

# Loading MLflow while the trainer loads its framework in another thread can show either one a half-made
# module; by its first outcome, or after this long, the trainer has everything.
SETTLE_SECONDS = 30.0

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 30.0

# Longer than any single call may take: after so long without a sign of life the thread hangs.
HANG_SECONDS = 60.0


@dataclass(frozen=True)
class Job:
    """One thing to deliver, safe to repeat; `run` is the run that it belongs to."""

    run: str
    deliver: Callable[[StageRuns], None]


class Tracker:
    """MLflow's view of one stage: a parent run, and a run for each outcome that is recorded.

    Used as a context manager. Recording costs the caller nothing and cannot fail; what cannot be delivered is
    counted, and told at the end. Recording the same outcome again leaves its run as it is.

    Args:
        uri: a SQLite file, another database, or a tracking server.
        artifacts: the folder for artifacts of a database; a server has its own.
        facts: what the parent run says.
        metric_prefix: put before each metric, so that sorting by val_accuracy compares trials only.
        say: takes the line about what could not be delivered.
        patience_seconds: how long closing goes on trying when MLflow is away.
        status: what the parent run becomes where the block ends well.
    Raises:
        StoreError: on entry, if the store can be seen to be impossible.
    """

    def __init__(
        self,
        uri: str,
        artifacts: Path,
        facts: StageFacts,
        *,
        metric_prefix: str = "",
        say: Callable[[str], None] = print,
        patience_seconds: float = 20.0,
        status: str = "FINISHED",
    ) -> None:
        self._uri = uri
        self._facts = facts
        self._prefix = metric_prefix
        self._say = say
        self._patience_seconds = patience_seconds
        self._status = status
        self._metrics: dict[str, float] = {}
        self._started_at = time.time()
        self._delivery = Delivery(
            uri, lambda: StageRuns(connect(uri), uri, artifacts, facts, self._started_at)
        )

    def __enter__(self) -> Self:
        check_store(self._uri)
        self._started_at = time.time()
        self._delivery.start()
        self._delivery.add(Job("", lambda runs: runs.keep_files()), is_urgent=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, ended, patience_seconds = self._status, "done", self._patience_seconds
        if isinstance(error, (KeyboardInterrupt, SystemExit)):
            # A person who interrupts waits for the program.
            status, ended, patience_seconds = "KILLED", "interrupted", min(patience_seconds, 5.0)
        elif error is not None:
            status, ended = "FAILED", shortened(f"{type(error).__name__}: {error}", 1_000)
        metrics = dict(self._metrics)
        self._delivery.add(Job("", lambda runs: runs.finish(status, ended, metrics)))
        self._delivery.close(patience_seconds)
        if self.undelivered:
            self._say(self._sentence())

    def record(self, outcome: Outcome, name: str = "", tags: Mapping[str, str] | None = None) -> None:
        """Deliver an outcome in the background as the run `name`, else trial-007."""
        now, extra = time.time(), dict(tags or {})

        def deliver(runs: StageRuns) -> None:
            runs.put(entry_of(outcome, self._facts, name, extra, self._prefix, now))

        self._delivery.add(Job(name or f"trial {outcome.trial.number}", deliver))

    def finish_metrics(self, metrics: Mapping[str, float]) -> None:
        """Put summary metrics on the parent run when the stage ends; their names stay as they are."""
        self._metrics.update(metrics)

    @property
    def undelivered(self) -> int:
        """How many runs, the parent run among them, are not yet as they should be."""
        return self._delivery.num_owed

    def _sentence(self) -> str:
        count = self.undelivered
        runs = "1 run" if count == 1 else f"{count} runs"
        return (
            f"{runs} could not be delivered to MLflow at {hidden(self._uri)} ({self._delivery.reason}). "
            "Nothing is lost: the local record has everything, and it is delivered by the next stage, or by: "
            f"study sync {self._facts.study}"
        )


class Delivery:
    """A queue of jobs and the one thread that does them, each until it succeeds or patience ends."""

    def __init__(self, uri: str, connected: Callable[[], StageRuns]) -> None:
        self.reason = "no answer"
        self._uri = uri
        self._connected = connected
        self._runs: StageRuns | None = None
        self._arriving: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._pending: deque[Job] = deque()
        self._refused: set[Job] = set()
        self._owed: Counter[str] = Counter()
        self._counting = threading.Lock()
        self._urgent = threading.Event()
        self._closing = threading.Event()
        self._patience_seconds = float("inf")
        self._hope_at = time.monotonic()
        self._sign_of_life_at = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)

    @property
    def num_owed(self) -> int:
        """How many runs have a job that is not done."""
        with self._counting:
            return len(+self._owed)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, job: Job, is_urgent: bool = True) -> None:
        """Queue a job; while none is urgent, the thread lets the trainer load its framework in peace."""
        with self._counting:
            self._owed[job.run] += 1
        self._arriving.put(job)
        if is_urgent:
            self._urgent.set()

    def close(self, patience_seconds: float) -> None:
        """Wait for the queue to empty, `patience_seconds` beyond the last success at most."""
        self._patience_seconds = patience_seconds
        self._hope_at = self._sign_of_life_at = time.monotonic()
        self._closing.set()
        self._arriving.put(None)
        while self._thread.is_alive() and not self._hangs():
            self._thread.join(0.1)

    def _hangs(self) -> bool:
        return time.monotonic() - self._sign_of_life_at > self._patience_seconds + HANG_SECONDS

    def _work(self) -> None:
        self._urgent.wait(SETTLE_SECONDS)
        pause_seconds = FIRST_PAUSE_SECONDS
        while (job := self._next()) is not None:
            try:
                self._do(job)
                self._hope_at, pause_seconds = time.monotonic(), FIRST_PAUSE_SECONDS
            except Exception as error:
                # Whatever MLflow, its client or its store throws, the training beside it goes on.
                self.reason = scrubbed(f"{type(error).__name__}: {error}", self._uri)
                if not self._is_worth_repeating(job, error):
                    continue
                if self._closing.is_set() and time.monotonic() - self._hope_at > self._patience_seconds:
                    return
                self._pause(pause_seconds)
                pause_seconds = min(2 * pause_seconds, LONGEST_PAUSE_SECONDS)
            finally:
                self._sign_of_life_at = time.monotonic()

    def _do(self, job: Job) -> None:
        if self._runs is None:
            self._runs = self._connected()
        job.deliver(self._runs)
        with self._counting:
            self._owed[job.run] -= 1

    def _is_worth_repeating(self, job: Job, error: Exception) -> bool:
        """Queue a job that failed again, from a fresh look at what is there; but not what MLflow refuses."""
        self._runs = None
        if getattr(error, "error_code", "") == "INVALID_PARAMETER_VALUE":
            # Once more: the experiment or the run may only have been deleted by hand.
            if job in self._refused:
                return False
            self._refused.add(job)
        self._pending.append(job)
        return True

    def _pause(self, seconds: float) -> None:
        if self._closing.is_set():
            time.sleep(min(seconds, 1.0))
        else:
            self._closing.wait(seconds)

    def _next(self) -> Job | None:
        """The job that has waited longest; None when all are done and no more will come."""
        while True:
            must_wait = not self._pending and not self._closing.is_set()
            try:
                arrived = self._arriving.get(block=must_wait)
            except queue.Empty:
                return self._pending.popleft() if self._pending else None
            if arrived is not None:
                self._pending.append(arrived)
