"""A worker process as its coordinator sees it: started, spoken to, cleared away."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import StudyError
from pipeline.training import surroundings
from pipeline.training.surroundings import accelerators, whole_number

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
            env=surroundings.of_child({"PYTHONUNBUFFERED": "1", **place}),
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


SILENCE_SECONDS = 300.0
# What a core trains, in multiply-adds, while a process starts and imports its framework: about 5 s.
STARTING = 10**11
# A process takes what accelerator memory it needs: another may train beside it.
SHARED = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
STATM = Path("/proc/self/statm")


def places(most: int, total_cost: int | None = None) -> list[Mapping[str, str]]:
    """One environment per worker: one worker an accelerator, else one a core, at most `most`.

    The number of workers changes no result. STUDY_WORKERS sets it by hand; more of them than accelerators
    share these by turns.

    Args:
        total_cost: of all trials, in multiply-adds: no more workers are started than are worth it.
    """
    words = [*accelerators()]
    worth = most if total_cost is None else 1 + total_cost // STARTING
    num_workers = whole_number("STUDY_WORKERS", 256) or min(len(words) or _num_cores(), worth)
    devices = [{"CUDA_VISIBLE_DEVICES": word, **SHARED} for word in words] or [{"CUDA_VISIBLE_DEVICES": "-1"}]
    return [devices[number % len(devices)] for number in range(min(num_workers, most))]


def _num_cores() -> int:
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return here or 1


def silence_seconds() -> float:
    """How long nothing may be heard of a process before it is given up; STUDY_GIVE_UP_SECONDS sets it."""
    return _positive("STUDY_GIVE_UP_SECONDS") or SILENCE_SECONDS


def memory_bytes() -> int | None:
    """How much memory a process may take, or None for any; STUDY_WORKER_MEMORY_GB sets it.

    Raises:
        StudyError: it is no positive number, or this system cannot keep such a limit.
    """
    gigabytes = _positive("STUDY_WORKER_MEMORY_GB")
    if gigabytes is not None and not STATM.exists():
        raise StudyError.of(
            "can be kept on Linux only.", repr(gigabytes), "Unset it.", "STUDY_WORKER_MEMORY_GB"
        )
    return None if gigabytes is None else int(gigabytes * 2**30)


def hold_to(num_bytes: int) -> None:
    """Let this process take no more than so much memory: what it asks for beyond is refused to it.

    A limit on addresses would hit what frameworks reserve and never touch, so the growth of its data is
    limited, from what it holds now.
    """
    pages = [int(field) for field in STATM.read_text().split()]
    resident, data = pages[1] * resource.getpagesize(), pages[5] * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (max(data + num_bytes - resident, 0), most))


def is_accident(error: BaseException) -> bool:
    """Whether the machine is to blame, not the configuration: no memory, no disk, a device that is gone."""
    # The frameworks have errors of their own for memory that was refused.
    named = f"{type(error).__name__} {error}"
    return isinstance(error, (MemoryError, OSError)) or any(
        word in named for word in ("ResourceExhausted", "RESOURCE_EXHAUSTED")
    )


def _positive(name: str) -> float | None:
    given = os.environ.get(name, "")
    if not given:
        return None
    try:
        value = float(given)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise StudyError.of("must be a positive number.", repr(given), "Change it, or unset it.", name)
    return value
