"""A worker process as its coordinator sees it: started, spoken to, cleared away."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from pipeline.errors import StudyError
from pipeline.training import surroundings
from pipeline.training.surroundings import accelerators, whole_number

Message = dict[str, Any]


class Process(Protocol):
    """A worker process as its pool needs it, on this machine or on another.

    Attributes:
        is_placed: whether it has a machine; until then what it is told waits.
        is_lost: whether its machine is gone, or the way there, so that none of its trials is to blame.
    """

    is_placed: bool
    is_lost: bool

    def tell(self, message: Message) -> None:
        """Give it an order."""

    def kill(self) -> None:
        """End it at once, whatever it does."""

    def end(self) -> str:
        """Leave nothing of a process that is dead or dying; how it ended, in words."""


# None: the process has said its last.
Hear = Callable[[Process, Message | None], None]
# Starts a process: the environment that gives it a device, where its standard error goes, what it opens, and
# who hears what it says.
Launch = Callable[[Mapping[str, str], Path, Message, Hear], Process]


class LocalProcess(subprocess.Popen[str]):
    """A worker process of this machine, and the thread that listens to it."""

    is_placed = True
    is_lost = False

    def __init__(self, place: Mapping[str, str], log: Path, settings: Message, hear: Hear) -> None:
        with log.open("ab") as errors:
            super().__init__(
                [sys.executable, "-P", "-m", "pipeline.workers.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=surroundings.of_child({"PYTHONUNBUFFERED": "1", **place}),
                # A Ctrl-C in the terminal is for the coordinator alone.
                start_new_session=True,
            )
        self._listener = threading.Thread(target=self._listen, args=(hear,), daemon=True)
        self._listener.start()
        self.tell({"do": "open", **settings})

    def tell(self, message: Message) -> None:
        """Give it an order."""
        assert self.stdin is not None  # noqa: S101  it was given pipes
        # The listener will report a death; what was said to the dead is said again to the next.
        with contextlib.suppress(BrokenPipeError):
            self.stdin.write(json.dumps(message) + "\n")
            self.stdin.flush()

    def end(self) -> str:
        """Leave no zombie, no thread and no open pipe; how it ended, in words."""
        status = self.wait()
        self._listener.join()
        for pipe in (self.stdin, self.stdout):
            assert pipe is not None  # noqa: S101  it was given pipes
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        return f"exit status {status}"

    def _listen(self, hear: Hear) -> None:
        assert self.stdout is not None  # noqa: S101  it was given pipes
        for line in self.stdout:
            # A worker that is killed may leave half a line.
            if line.endswith("\n"):
                hear(self, json.loads(line))
        hear(self, None)


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
    worth = most if total_cost is None else num_worth(total_cost)
    num_workers = whole_number("STUDY_WORKERS", 256) or min(len(words) or num_cores(), worth)
    devices = [{"CUDA_VISIBLE_DEVICES": word, **SHARED} for word in words] or [{"CUDA_VISIBLE_DEVICES": "-1"}]
    return [devices[number % len(devices)] for number in range(min(num_workers, most))]


def num_worth(total_cost: int) -> int:
    """How many workers such a cost is worth, in multiply-adds: each takes a while to start."""
    return 1 + total_cost // STARTING


def num_cores() -> int:
    """How many cores this process may use."""
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
