"""How many training processes there are, and what each may do: be silent for so long, take so much memory."""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import StudyError
from pipeline.training.machine import accelerators, whole_number

SILENCE_SECONDS = 300.0
# A process takes what accelerator memory it needs: another may train beside it.
SHARED = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
STATM = Path("/proc/self/statm")


def places(most: int) -> list[Mapping[str, str]]:
    """One environment per worker: one worker an accelerator, else one a core, at most `most`.

    The number of workers changes no result. STUDY_WORKERS sets it by hand; more of them than accelerators
    share these by turns.
    """
    words = [*accelerators()]
    num_workers = whole_number("STUDY_WORKERS", 256) or len(words) or _num_cores()
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


def is_accident(error: Exception) -> bool:
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
