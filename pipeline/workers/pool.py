"""Worker processes of this machine: one per core, or one per accelerator."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipeline.errors import DataError, Problem, StoreError
from pipeline.training import variables
from pipeline.trial import EpochResult, Trial
from pipeline.workers import limits

Message = dict[str, Any]

# One in work, one waiting, so that a worker never idles while the coordinator thinks: of each of its trials
# where it trains several in one call, else of all of them together.
ORDERS = 2
MAX_TRIES = 2
# A worker gives a sign of life so many times before its silence is taken for its end.
SIGNS = 10


@dataclass
class _Job:
    """A trial in flight: which epochs were ordered, which results have come."""

    # What the workers know it by: never used twice, so no late answer is taken for another trial's.
    token: int
    trial: Trial
    began: int
    cost: int
    worker: int
    ordered: int = 0
    tries: int = 1
    # After a death in a call of several, which may be the fault of any: from then on its fault is its own.
    is_alone: bool = False
    # Why no further epoch of it will ever come.
    death: str = ""
    results: dict[int, EpochResult] = field(default_factory=dict)

    @property
    def due(self) -> int:
        return self.began + (self.ordered + 1) * self.cost

    @property
    def left(self) -> int:
        return (self.trial.epochs - self.ordered) * self.cost


@dataclass
class _Worker:
    """A worker process, seen from here."""

    process: subprocess.Popen[str]
    listener: threading.Thread
    heard_at: float
    orders: deque[tuple[int, int]] = field(default_factory=deque)
    # How often in a row a process of this place was started; and how many trials it trains in one call.
    starts: int = 1
    slots: int = 0
    # What it trains on, in words.
    device: str = ""
    # Why it ends, where that is known before its exit status.
    last_words: str = ""


class LocalPool:
    """Worker processes behind the virtual clock; a context manager that leaves none behind.

    Args:
        settings: what a worker needs to open its program (see `worker`), as JSON values.
        places: one entry per worker, the environment that gives it a device of its own.
        log_folder: where the workers' standard error goes.
    """

    def __init__(self, settings: Message, places: list[Mapping[str, str]], log_folder: Path) -> None:
        self._settings = settings
        self._places = places
        self.log_folder = log_folder
        self._workers: list[_Worker] = []
        self._jobs: dict[int, _Job] = {}
        self._tokens: dict[int, _Job] = {}
        self._num_tokens = 0
        self._silence_seconds = limits.silence_seconds()
        self._memory_bytes = limits.memory_bytes()
        # Seconds in which this process listened: a stop of its own is not its workers' silence.
        self._listened = 0.0
        self._inbox: queue.Queue[tuple[int, subprocess.Popen[str], Message | None]] = queue.Queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            _clear_away(worker)

    def start(self, trial: Trial, began: int, cost: int) -> None:
        """Give a trial to the worker with the least left to do."""
        if not self._workers:
            # Not before there is something to train: a search that is all recorded starts no TensorFlow.
            self.log_folder.mkdir(parents=True, exist_ok=True)
            self._workers = [self._launched(index) for index in range(len(self._places))]
        loads = [0] * len(self._workers)
        for job in self._jobs.values():
            loads[job.worker] += job.left
        job = _Job(self._num_tokens, trial, began, cost, loads.index(min(loads)))
        self._num_tokens += 1
        self._jobs[trial.number] = self._tokens[job.token] = job
        self._introduce(job)
        self._order()

    def result(self, number: int, epoch: int) -> EpochResult:
        """Wait for one epoch's result; meanwhile the workers work ahead."""
        job = self._jobs[number]
        while epoch not in job.results and not job.death:
            self._order()
            self._wait()
        known = job.results.pop(epoch, None)
        return known or EpochResult(number, epoch, reason=job.death, is_accident=True)

    def stop(self, number: int) -> None:
        """Forget a trial; an epoch of it that is being trained is trained in vain."""
        job = self._jobs.pop(number)
        del self._tokens[job.token]
        self._tell(job.worker, {"do": "drop", "number": job.token})
        self._order()

    def _launched(self, index: int, starts: int = 1) -> _Worker:
        with self._log(index).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "pipeline.workers.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=variables.of_child({"PYTHONUNBUFFERED": "1", **self._places[index]}),
                # A Ctrl-C in the terminal is for the coordinator alone.
                start_new_session=True,
            )
        listener = threading.Thread(target=self._listen, args=(index, process), daemon=True)
        listener.start()
        own = {"sign_seconds": self._silence_seconds / SIGNS, "memory_bytes": self._memory_bytes}
        _write(process, {"do": "open", **self._settings, **own})
        return _Worker(process, listener, self._listened, starts=starts)

    def _log(self, index: int) -> Path:
        return self.log_folder / f"worker-{index}.log"

    def _listen(self, index: int, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # noqa: S101  Popen was given a pipe
        for line in process.stdout:
            # A worker that is killed may leave half a line.
            if line.endswith("\n"):
                self._inbox.put((index, process, json.loads(line)))
        self._inbox.put((index, process, None))

    def _introduce(self, job: _Job) -> None:
        trial = job.trial
        message = {"do": "start", "number": job.token, "name": trial.number, "is_alone": job.is_alone}
        message |= {"configuration": dict(trial.configuration), "epochs": trial.epochs}
        message |= {"chance": list(trial.chance)}
        self._tell(job.worker, message)

    def _tell(self, index: int, message: Message) -> None:
        _write(self._workers[index].process, message)

    def _order(self) -> None:
        """Keep every worker busy with the epoch of its trials that is due first."""
        for index, worker in enumerate(self._workers):
            own = [job for job in self._jobs.values() if job.worker == index]
            most = ORDERS * (len(own) if worker.slots > 1 else 1)
            while len(worker.orders) < most:
                jobs = [job for job in own if job.ordered < job.trial.epochs]
                if not jobs:
                    break
                job = min(jobs, key=lambda job: (job.due, job.trial.number))
                job.ordered += 1
                worker.orders.append((job.token, job.ordered))
                self._tell(index, {"do": "epoch", "number": job.token, "epoch": job.ordered})

    def _wait(self) -> None:
        """Hear the next message, and give up the workers of which nothing is heard."""
        began, longest = time.monotonic(), self._silence_seconds / SIGNS
        with contextlib.suppress(queue.Empty):
            self._hear(*self._inbox.get(timeout=longest))
        self._listened += min(time.monotonic() - began, longest)
        for worker in self._workers:
            if self._listened - worker.heard_at > self._silence_seconds and self._inbox.empty():
                worker.last_words = f"nothing was heard of it for {self._silence_seconds:g} s"
                worker.process.kill()

    def _hear(self, index: int, process: subprocess.Popen[str], message: Message | None) -> None:
        worker = self._workers[index]
        if process is not worker.process:
            return
        worker.heard_at = self._listened
        if message is None:
            self._replace(index)
        elif message["said"] == "alive":
            return
        elif message["said"] == "broken":
            worker.last_words = message["reason"]
        elif message["said"] == "ready":
            worker.device = message["device"]
            worker.slots = message["slots"]
        elif message["said"] == "refused":
            raise DataError(Problem(**message["problem"]))
        else:
            worker.orders.remove((message["number"], message["epoch"]))
            self._note(message)

    def _note(self, message: Message) -> None:
        job = self._tokens.get(message["number"])
        if job is None or message["said"] == "dropped":
            return
        number, epoch, device = job.trial.number, message["epoch"], self._workers[job.worker].device
        if message["said"] == "failed":
            job.results[epoch] = EpochResult(number, epoch, reason=message["reason"], device=device)
            job.ordered = job.trial.epochs
        else:
            metrics, seconds, weights = (message[name] for name in ("metrics", "seconds", "weights_sha256"))
            job.results[epoch] = EpochResult(
                number, epoch, metrics, seconds, weights_sha256=weights, device=device
            )

    def _replace(self, index: int) -> None:
        """A worker has died: its trials start again on a new one, the trial in work for the last time."""
        worker = self._workers[index]
        reason = f"exit status {worker.process.wait()}"
        reason = worker.last_words or reason
        _clear_away(worker)
        if not worker.slots and worker.starts == MAX_TRIES:
            raise StoreError.of(
                "a training process must start.",
                reason,
                "Read the last lines of this file.",
                str(self._log(index)),
            )
        guilty = self._guilty(worker)
        self._workers[index] = self._launched(index, 1 if worker.slots else worker.starts + 1)
        for job in self._jobs.values():
            if job.worker != index:
                continue
            job.tries += job is guilty
            if job.tries > MAX_TRIES:
                job.death = f"the training process died {MAX_TRIES} times ({reason})"
                job.ordered = job.trial.epochs
            else:
                job.ordered = 0
                job.is_alone = job.is_alone or worker.slots > 1
                self._introduce(job)

    def _guilty(self, worker: _Worker) -> _Job | None:
        """The trial in work when a process died; None: there was none, or several were."""
        # A process that never was ready has trained nothing.
        job = self._tokens.get(worker.orders[0][0]) if worker.orders and worker.slots else None
        return job if job and (job.is_alone or worker.slots == 1) else None


def _write(process: subprocess.Popen[str], message: Message) -> None:
    assert process.stdin is not None  # noqa: S101  Popen was given a pipe
    # The listener will report a death; what was said to the dead is said again to the next.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()


def _clear_away(worker: _Worker) -> None:
    """Leave nothing of a process that is dead or dying: no zombie, no thread, no open pipe."""
    worker.process.wait()
    worker.listener.join()
    for pipe in (worker.process.stdin, worker.process.stdout):
        assert pipe is not None  # noqa: S101  Popen was given pipes
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
