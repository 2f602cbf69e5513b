"""A worker process as its coordinator sees it: started, spoken to, cleared away."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.training import variables

Message = dict[str, Any]
# A process that waits for an accelerator, or reads its data, has more of a processor than this.
LEAST_SHARE = 0.01
# None: the process has said its last.
Hear = Callable[["subprocess.Popen[str]", Message | None], None]


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

    process: subprocess.Popen[str]
    listener: threading.Thread
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

    def tell(self, message: Message) -> None:
        """Give it an order."""
        _write(self.process, message)

    def clear_away(self) -> None:
        """Leave nothing of a process that is dead or dying: no zombie, no thread, no open pipe."""
        self.process.wait()
        self.listener.join()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None  # noqa: S101  Popen was given pipes
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def launch(
    place: Mapping[str, str], log: Path, settings: Message, hear: Hear
) -> tuple[subprocess.Popen[str], threading.Thread]:
    """A process that opens its program, and the thread that listens to it.

    Args:
        place: the environment that gives it a device of its own.
        log: where its standard error goes.
        hear: takes its messages.
    """
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.workers.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=variables.of_child({"PYTHONUNBUFFERED": "1", **place}),
            # A Ctrl-C in the terminal is for the coordinator alone.
            start_new_session=True,
        )
    listener = threading.Thread(target=_listen, args=(process, hear), daemon=True)
    listener.start()
    _write(process, {"do": "open", **settings})
    return process, listener


def _listen(process: subprocess.Popen[str], hear: Hear) -> None:
    assert process.stdout is not None  # noqa: S101  Popen was given a pipe
    for line in process.stdout:
        # A worker that is killed may leave half a line.
        if line.endswith("\n"):
            hear(process, json.loads(line))
    hear(process, None)


def _write(process: subprocess.Popen[str], message: Message) -> None:
    assert process.stdin is not None  # noqa: S101  Popen was given a pipe
    # The listener will report a death; what was said to the dead is said again to the next.
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(json.dumps(message) + "\n")
        process.stdin.flush()
