"""Worker processes behind the virtual clock, wherever they are placed; one that is gone is replaced."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from pipeline.errors import DataError, Problem, StoreError
from pipeline.trial import OUT_OF_TIME, EpochResult, Trial
from pipeline.workers import process
from pipeline.workers.jobs import Job, Worker
from pipeline.workers.process import Launch, LocalProcess, Message, Process

# One in work, one waiting, so that a worker never idles while the coordinator thinks: of each of its trials
# where it trains several in one call, else of all of them together.
ORDERS = 2
MAX_TRIES = 2
# So often a machine may go away under a trial: that machines go is no fault of its, unless it ends them all.
MAX_LOSSES = 5
# How long a search waits at its start for the workers that have room.
PLACING_SECONDS = 60.0
# A worker gives a sign of life so many times before its silence is taken for its end.
SIGNS = 10


class Pool:
    """Worker processes behind the virtual clock; a context manager that leaves none behind.

    Args:
        settings: what a worker needs to open its program (see `worker`), as JSON values.
        places: one entry per worker, the environment that gives it a device of its own.
        log_folder: where the workers' standard error goes.
        trial_minutes: how long the epochs of a trial may take together; None: any time.
        launch: starts a process.
        num_at_once: for how many of the workers there is room now; the others come when there is.
    """

    def __init__(
        self,
        settings: Message,
        places: list[Mapping[str, str]],
        log_folder: Path,
        trial_minutes: float | None = None,
        launch: Launch = LocalProcess,
        num_at_once: int | None = None,
    ) -> None:
        self._launch, self._num_at_once = launch, num_at_once or len(places)
        self._settings = settings
        self._places = places
        self.log_folder = log_folder
        self._workers: list[Worker] = []
        self._jobs: dict[int, Job] = {}
        self._tokens: dict[int, Job] = {}
        self._num_tokens = 0
        self._silence_seconds = process.silence_seconds()
        self._trial_minutes = trial_minutes
        self._memory_bytes = process.memory_bytes()
        # Seconds in which this process listened: a stop of its own is not its workers' silence.
        self._listened = 0.0
        self._inbox: queue.Queue[tuple[int, Process, Message | None]] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.end()

    def start(self, trial: Trial, began: int, cost: int) -> None:
        """Give a trial to the worker with the least left to do."""
        if not self._workers:
            # Not before there is something to train: a search that is all recorded starts no TensorFlow.
            self.log_folder.mkdir(parents=True, exist_ok=True)
            self._workers = [self._launched(index) for index in range(len(self._places))]
            self._settle()
        job = Job(self._num_tokens, trial, began, cost, self._least_busy())
        self._num_tokens += 1
        self._jobs[trial.number] = self._tokens[job.token] = job
        self._introduce(job)
        self._order()

    def _settle(self) -> None:
        """Wait for the workers that have room, so that the first trials are spread over all of them."""
        until = self._listened + PLACING_SECONDS
        while sum(one.process.is_placed for one in self._workers) < self._num_at_once:
            if self._listened >= until:
                break
            self._wait()

    def _placed(self) -> list[int]:
        """The workers that have a machine; where none has, all of them."""
        found = [index for index, worker in enumerate(self._workers) if worker.process.is_placed]
        return found or [*range(len(self._workers))]

    def _least_busy(self, but: int | None = None) -> int:
        loads = {index: 0 for index in self._placed() if index != but}
        for job in self._jobs.values():
            if job.worker in loads:
                loads[job.worker] += job.left
        return min(loads, key=loads.__getitem__)

    def result(self, number: int, epoch: int) -> EpochResult:
        """Wait for one epoch's result; meanwhile the workers work ahead."""
        job = self._jobs[number]
        while epoch not in job.results and job.end is None:
            self._order()
            self._wait()
        known = job.results.pop(epoch, None) or job.end
        assert known is not None  # noqa: S101  the loop's condition
        return replace(known, epoch=epoch)

    def stop(self, number: int) -> None:
        """Forget a trial; an epoch of it that is being trained is trained in vain."""
        job = self._jobs.pop(number)
        del self._tokens[job.token]
        self._tell(job.worker, {"do": "drop", "number": job.token})
        self._order()

    def _launched(self, index: int, starts: int = 1) -> Worker:
        own = {"sign_seconds": self._silence_seconds / SIGNS, "memory_bytes": self._memory_bytes}
        hear = partial(self._listen, index)
        process = self._launch(self._places[index], self._log(index), {**self._settings, **own}, hear)
        return Worker(process, self._listened, starts)

    def _log(self, index: int) -> Path:
        return self.log_folder / f"worker-{index}.log"

    def _listen(self, index: int, process: Process, message: Message | None) -> None:
        self._inbox.put((index, process, message))

    def _introduce(self, job: Job) -> None:
        trial = job.trial
        message = {"do": "start", "number": job.token, "name": trial.number, "is_alone": job.is_alone}
        message |= {"configuration": dict(trial.configuration), "epochs": trial.epochs}
        message |= {"seed_path": list(trial.seed_path)}
        self._tell(job.worker, message)

    def _tell(self, index: int, message: Message) -> None:
        self._workers[index].process.tell(message)

    def _order(self) -> None:
        """Keep every worker busy with what is due first of its trials, and of those without a machine."""
        placed = self._placed()
        for index in placed:
            worker = self._workers[index]
            own = [job for job in self._jobs.values() if job.worker == index or job.worker not in placed]
            own = [job for job in own if job.end is None]
            most = ORDERS * (len(own) if worker.slots > 1 else 1)
            while len(worker.orders) < most:
                jobs = [job for job in own if job.ordered < job.trial.epochs or job.worker != index]
                if not jobs:
                    break
                job = min(jobs, key=lambda job: (job.due, job.trial.number))
                if job.worker != index:
                    self._move(job, index)
                job.ordered += 1
                if not worker.orders:
                    worker.busy_since = self._listened
                worker.orders.append((job.token, job.ordered))
                self._tell(index, {"do": "epoch", "number": job.token, "epoch": job.ordered})

    def _wait(self) -> None:
        """Hear the next message; give up workers of which nothing is heard, and trials whose time is up."""
        began, longest = time.monotonic(), self._silence_seconds / SIGNS
        if self._trial_minutes is not None:
            longest = min(longest, 60 * self._trial_minutes / SIGNS)
        with contextlib.suppress(queue.Empty):
            self._hear(*self._inbox.get(timeout=longest))
        self._listened += min(time.monotonic() - began, longest)
        for worker in self._workers:
            if self._listened - worker.heard_at > self._silence_seconds and self._inbox.empty():
                self._give_up(worker)
            elif self._trial_minutes is not None and worker.orders and worker.slots:
                self._check_time(worker, self._trial_minutes)

    def _give_up(self, worker: Worker) -> None:
        """End a worker that is silent; one without a machine is waited for as long as others have theirs."""
        if worker.process.is_placed:
            worker.last_words = f"it did nothing for {self._silence_seconds:g} s"
            worker.process.kill()
        elif any(one.process.is_placed for one in self._workers):
            worker.heard_at = self._listened
        else:
            must, advice = "a machine must be there.", "Add one, then run again: what is recorded stands."
            raise StoreError.of(must, f"none for {self._silence_seconds:g} s", advice, "STUDY_CLUSTER")

    def _check_time(self, worker: Worker, minutes: float) -> None:
        """End a trial that takes too long, in the middle of an epoch too: its process ends with it."""
        job = self._tokens.get(worker.orders[0][0])
        if job is None or job.end is not None:
            return
        if job.seconds + self._listened - worker.busy_since > 60 * minutes:
            job.end = EpochResult(job.trial.number, 0, reason=f"{OUT_OF_TIME} {minutes:g} minutes")
            job.ordered = job.trial.epochs
            self._dismiss(worker, job.end.reason)

    def _dismiss(self, worker: Worker, why: str) -> None:
        worker.last_words, worker.is_dismissed = why, True
        worker.process.kill()

    def _hear(self, index: int, process: Process, message: Message | None) -> None:
        worker = self._workers[index]
        if process is not worker.process:
            return
        if message and message["said"] == "alive":
            if worker.is_at_work(message["cpu_seconds"], self._silence_seconds / SIGNS):
                worker.heard_at = self._listened
            return
        worker.heard_at = self._listened
        if message is None:
            self._replace(index)
        elif message["said"] == "broken":
            worker.last_words = message["reason"]
        elif message["said"] == "ready":
            worker.device = message["device"]
            worker.slots = message["slots"]
            worker.busy_since = self._listened
        elif message["said"] == "refused":
            raise DataError(Problem(**message["problem"]))
        elif message["said"] != "placed":
            worker.orders.remove((message["number"], message["epoch"]))
            worker.busy_since = self._listened
            self._note(index, message)

    def _note(self, index: int, message: Message) -> None:
        job = self._tokens.get(message["number"])
        if job is None or job.end is not None or message["said"] == "dropped" or job.worker != index:
            return
        number, epoch, device = job.trial.number, message["epoch"], self._workers[job.worker].device
        if message["said"] == "failed":
            self._failed(job, EpochResult(number, epoch, reason=message["reason"], device=device))
            return
        metrics, seconds, weights = (message[name] for name in ("metrics", "seconds", "weights_sha256"))
        job.results[epoch] = EpochResult(
            number, epoch, metrics, seconds, weights_sha256=weights, device=device
        )
        job.seconds += seconds
        if job.failure is not None and epoch == job.failure.epoch and job.doubted is not None:
            self._dismiss(self._workers[job.doubted], f"it failed trial {number}, which another trained")

    def _failed(self, job: Job, failure: EpochResult) -> None:
        """Believe a failure that a second worker has too: the first may be what is broken."""
        if job.failure is not None or len(self._placed()) == 1:
            job.end, job.ordered = failure, job.trial.epochs
            return
        job.failure, job.doubted = failure, job.worker
        self._move(job, self._least_busy(but=job.worker))

    def _replace(self, index: int) -> None:
        """A worker has died: its trials start again on a new one, the trial in work for the last time."""
        worker = self._workers[index]
        ended, is_lost = worker.process.end(), worker.process.is_lost
        reason = worker.last_words or ended
        if not worker.slots and worker.starts == (MAX_LOSSES if is_lost else MAX_TRIES):
            must, advice = "a training process must start.", "Read the last lines of this file."
            raise StoreError.of(must, reason, advice, str(self._log(index)))
        guilty = self._guilty(worker)
        self._workers[index] = self._launched(index, 1 if worker.slots else worker.starts + 1)
        for job in self._jobs.values():
            if job.doubted == index:
                # Another process has its place now.
                job.doubted = None
            if job.worker != index:
                continue
            job.deaths, job.losses = job.deaths + (job is guilty), job.losses + (job is guilty and is_lost)
            if job.deaths - job.losses == MAX_TRIES or job.losses == MAX_LOSSES:
                reason = f"the training process died {job.deaths} times ({reason})"
                job.end = EpochResult(job.trial.number, 0, reason=reason, is_accident=True)
                job.ordered = job.trial.epochs
            elif job.end is None:
                job.is_alone = job.is_alone or worker.slots > 1
                self._begin_again(job)

    def _move(self, job: Job, index: int) -> None:
        """Let another worker train a trial, from its first epoch."""
        self._tell(job.worker, {"do": "drop", "number": job.token})
        job.worker = index
        self._begin_again(job)

    def _begin_again(self, job: Job) -> None:
        job.ordered, job.seconds = 0, 0.0
        self._introduce(job)

    def _guilty(self, worker: Worker) -> Job | None:
        """The trial in work when a process died; None: there was none, or several were."""
        if worker.is_dismissed:
            return None
        # A process that never was ready has trained nothing.
        job = self._tokens.get(worker.orders[0][0]) if worker.orders and worker.slots else None
        return job if job and (job.is_alone or worker.slots == 1) else None
