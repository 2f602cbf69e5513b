"""A process that trains: single-threaded, told what to do by JSON lines, gone when its coordinator is gone.

{"do": "open", ...}  {"do": "start", ...}  {"do": "epoch", ...}  {"do": "drop", ...}      in, standard input
{"said": "ready", ...}  {"said": "epoch", ...}  {"said": "failed", ...}                   out, standard output
{"said": "alive"}       {"said": "broken", ...}
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import pipeline
from pipeline import files
from pipeline.data import load_card
from pipeline.errors import DataError, PipelineError
from pipeline.space import Configuration
from pipeline.trial import At, Metrics, Trial, is_over, scored_epoch
from pipeline.workers import process

if TYPE_CHECKING:
    from pipeline.training.program import Program

Message = dict[str, Any]

# From Linux's <sys/prctl.h>: the signal that this process gets when its parent dies.
PR_SET_PDEATHSIG = 1
NAMED_WRONGLY = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


class Score(NamedTuple):
    """How a trial's score is read off its epochs; see `pipeline.search.Rules`."""

    metric: str = "val_accuracy"
    is_maximized: bool = True
    at: At = "last"


class Worker:
    """Does epochs in the order in which they are asked for, and skips those of dropped trials."""

    def __init__(
        self,
        program: Program,
        say: Callable[[Message], None],
        weights_folder: Path | None,
        weights_suffix: Callable[[Configuration], str],
        score: Score,
    ) -> None:
        self._program = program
        self._say = say
        self._weights_folder = weights_folder
        self._weights_suffix = weights_suffix
        self._score = score
        # Of each trial its scores so far, and the digest of the weights that its score is read at.
        self._scores: dict[int, list[float]] = {}
        self._read: dict[int, str] = {}
        self._over: set[int] = set()
        self._trials: dict[int, Trial] = {}
        self._names: dict[int, int] = {}
        self._wanted: deque[tuple[int, int]] = deque()
        # Those whose model is made, and those that share no call with others.
        self._begun: set[int] = set()
        self._alone: set[int] = set()

    def hear(self, message: Message) -> None:
        """Take an order; epochs wait until `work`."""
        number = message["number"]
        if message["do"] == "start":
            trial = Trial(
                number, {}, message["configuration"], message["epochs"], tuple(message["seed_path"])
            )
            self._trials[number] = trial
            self._names[number] = message["name"]
            if message["is_alone"]:
                self._alone.add(number)
        elif message["do"] == "epoch":
            self._wanted.append((number, message["epoch"]))
        elif message["do"] == "drop":
            self._trials.pop(number, None)
            self._names.pop(number, None)
            self._begun.discard(number)
            self._alone.discard(number)
            self._scores.pop(number, None)
            self._read.pop(number, None)
            self._over.discard(number)
            self._program.drop(number)

    def has_work(self) -> bool:
        """Whether an epoch waits."""
        return bool(self._wanted)

    def work(self) -> None:
        """Do the epoch that has waited longest, and those that one call does with it."""
        number, epoch = self._wanted[0]
        if number not in self._trials or number in self._over:
            self._wanted.popleft()
            self._say({"said": "dropped", "number": number, "epoch": epoch})
            return
        began = time.perf_counter()
        waiting = {one: its for one, its in self._waiting().items() if self._is_begun(one, its)}
        if number not in waiting:
            return
        try:
            metrics = self._program.epochs(list(waiting))
            weights = {one: self._weights(one, its) for one, its in metrics.items()}
        # Whatever one configuration does wrong fails its own trial; the search goes on.
        except (Exception, SystemExit) as error:
            # Of a call that trained several nobody knows whose fault it is, nor what is left of the others.
            self._fail(number, epoch, error, is_accident=len(waiting) > 1)
            return
        seconds = (time.perf_counter() - began) / len(metrics)
        for one, its in metrics.items():
            self._wanted.remove((one, waiting[one]))
            said = {"said": "epoch", "number": one, "epoch": waiting[one], "metrics": its, "seconds": seconds}
            self._say({**said, "weights_sha256": weights[one]})

    def _waiting(self) -> dict[int, int]:
        """The next epoch of each trial that waits for one, as many as one call may train at most."""
        first, _ = self._wanted[0]
        most = 1 if first in self._alone else self._program.slots
        found: dict[int, int] = {}
        for number, epoch in self._wanted:
            is_free = number == first or number not in self._alone
            is_alive = number in self._trials and number not in self._over
            if is_alive and is_free and len(found) < most:
                found.setdefault(number, epoch)
        return found

    def _is_begun(self, number: int, epoch: int) -> bool:
        """Make the trial's model if this is its first epoch; False: it cannot be made."""
        if number in self._begun:
            return True
        try:
            self._program.start(self._trials[number])
        except (Exception, SystemExit) as error:
            self._fail(number, epoch, error)
            return False
        self._begun.add(number)
        return True

    def _fail(self, number: int, epoch: int, error: BaseException, is_accident: bool = False) -> None:
        first_line, place = next(iter(str(error).splitlines()), ""), _place(error)
        reason = f"{type(error).__name__}: {first_line[:300]}{place}"
        # A file that the user's code names wrongly is not there for the next process either.
        is_named = bool(place) and isinstance(error, NAMED_WRONGLY)
        if is_accident or (process.is_accident(error) and not is_named):
            # Nobody knows what is left whole in here: the trial is tried again in a new process.
            self._say({"said": "broken", "reason": reason})
            os._exit(1)
        self._trials.pop(number, None)
        self._wanted.remove((number, epoch))
        self._say({"said": "failed", "number": number, "epoch": epoch, "reason": reason})

    def _weights(self, number: int, metrics: Metrics) -> str:
        """After a trial's last epoch the digest of those that its score is read at; empty before.

        They are kept where that is wanted.

        Raises:
            ValueError: the metrics lack the objective's.
        """
        score, scores = self._score, self._scores.setdefault(number, [])
        if score.metric not in metrics:
            raise ValueError(f"an epoch must report {score.metric}; it reports {', '.join(metrics)}")
        scores.append(metrics[score.metric])
        is_last = is_over(self._trials[number], scores, score.is_maximized)
        is_scored = scored_epoch(scores, score.is_maximized, score.at) == len(scores)
        if is_scored and (is_last or score.at == "best"):
            # Of a trial that any epoch may end, the best so far are kept: the next may be worse.
            if self._weights_folder:
                self._keep_weights(number, self._weights_folder)
            self._read[number] = self._program.digest(number)
        if not is_last:
            return ""
        # What was ordered beyond it is not to be trained.
        self._over.add(number)
        return self._read[number]

    def _keep_weights(self, number: int, folder: Path) -> None:
        suffix = self._weights_suffix(self._trials[number].configuration)
        path, aside = folder / f"{self._names[number]}{suffix}", folder / f".{os.getpid()}{suffix}"
        self._program.save(number, aside)
        # The record that a trial has ended must never be there without its weights.
        files.place(aside, path)


def _place(error: BaseException) -> str:
    """The last line of the user's own code that an error came through, to end a sentence; or empty."""
    others = (Path(pipeline.__file__).parent, *map(Path, {sys.prefix, sys.base_prefix}))
    frames = reversed(traceback.extract_tb(error.__traceback__))
    own = (one for one in frames if not any(Path(one.filename).is_relative_to(other) for other in others))
    last = next((one for one in own if Path(one.filename).is_file()), None)
    return f" ({Path(last.filename).name}, line {last.lineno})" if last else ""


def main() -> None:
    """Serve the coordinator at the other end of standard input until it is done or gone."""
    # A Ctrl-C in the terminal reaches this process too; the coordinator decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        # One that was stopped, or is lost in native code, would not see that its orders have ended.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    orders, replies = files.streams()
    inbox: queue.Queue[Message] = queue.Queue()
    threading.Thread(target=_listen, args=(orders, inbox), daemon=True).start()

    speaking = threading.Lock()

    def say(message: Message) -> None:
        with speaking:
            replies.write(json.dumps(message) + "\n")

    settings = inbox.get()
    threading.Thread(target=_give_signs, args=(say, settings["sign_seconds"]), daemon=True).start()
    try:
        worker = _opened(settings, say)
    except PipelineError as error:
        say({"said": "refused", "problem": vars(error.problems[0])})
        return
    while True:
        while not worker.has_work() or not inbox.empty():
            worker.hear(inbox.get())
        worker.work()


def _listen(orders: IO[str], inbox: queue.Queue[Message]) -> None:
    """Pass orders on; when the coordinator is gone, be gone, in the middle of an epoch too."""
    for line in orders:
        inbox.put(json.loads(line))
    os._exit(0)


def _give_signs(say: Callable[[Message], None], every_seconds: float) -> None:
    """Say that this process lives, however long its epoch lasts, and what it has had of the processor."""
    with contextlib.suppress(OSError):
        while True:
            time.sleep(every_seconds)
            say({"said": "alive", "cpu_seconds": time.process_time()})


def _opened(settings: Message, say: Callable[[Message], None]) -> Worker:
    from pipeline import learners

    _check_data(settings)
    learner = learners.again(settings["learner"])
    program, device = learner.open(settings)
    if settings["memory_bytes"] is not None:
        process.hold_to(settings["memory_bytes"])
    say({"said": "ready", "device": device, "slots": program.slots})
    folder = settings["weights_folder"]
    score = Score(*settings["score"]) if "score" in settings else Score()
    return Worker(program, say, Path(folder) if folder else None, learner.weights_suffix, score)


def _check_data(settings: Message) -> None:
    """Raise unless the data are those that the record is made from: a new process may meet others.

    Raises:
        DataError: they were prepared anew meanwhile.
    """
    expected = settings.get("data_sha256")
    if expected and load_card(Path(settings["data_folder"]))["sha256"] != expected:
        raise DataError.of(
            "the data must stay as they are while a study runs.",
            "others, prepared since it began",
            "Run it again: it begins anew on these.",
            settings["data_folder"],
        )


if __name__ == "__main__":
    main()
