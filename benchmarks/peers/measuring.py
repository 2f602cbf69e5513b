"""One contestant from the start of its process to its end: wall time, processor time, memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LOOK_SECONDS = 2.0
# Adding up a process's pages takes 15 ms: at every third look that is a quarter of a percent of one core.
LOOKS_A_SUM = 3
PATIENCE_SECONDS = 20.0
# What getrusage counts resident memory in: kibibytes on Linux, bytes on macOS.
MAXRSS_UNIT = 1 if sys.platform == "darwin" else 1024
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Measured:
    """What a process and all its descendants used.

    Attributes:
        largest_mb: peak resident memory of the largest single process.
        cpu_seconds: of all processes, as far as the kernel or the watch has seen them.
        all_mb: peak of all processes together, shared pages counted once: the highest of a sum every six
            seconds, at least `largest_mb`.
    """

    status: int
    seconds: float
    cpu_seconds: float
    largest_mb: float
    all_mb: float


def measure(words: Sequence[str], folder: Path, environment: Mapping[str, str], log_path: Path) -> Measured:
    """Run a command in a folder to its end; what it prints goes to the log."""
    with log_path.open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        with _Watch(process.pid) as watch:
            try:
                _, status, usage = os.wait4(process.pid, 0)
            except BaseException:
                _end(process)
                raise
            seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    # The kernel counts the descendants that were waited for; the watch sees also those that were not.
    largest = max(usage.ru_maxrss * MAXRSS_UNIT, watch.largest)
    return Measured(
        process.returncode,
        seconds,
        max(usage.ru_utime + usage.ru_stime, watch.cpu_seconds),
        largest / MEBIBYTE,
        max(watch.all, largest) / MEBIBYTE,
    )


class _Watch:
    """Looks at a process and its descendants now and then; bytes."""

    def __init__(self, pid: int) -> None:
        self.largest = self.all = 0
        self._pid = pid
        self._ticks: dict[int, int] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    @property
    def cpu_seconds(self) -> float:
        return sum(self._ticks.values()) / os.sysconf("SC_CLK_TCK")

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        for number in itertools.count():
            if self._is_over.wait(LOOK_SECONDS):
                return
            family = _family(self._pid)
            self._ticks |= {pid: ticks for pid in family if (ticks := _ticks(pid))}
            if number % LOOKS_A_SUM == 0:
                together = sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in family)
                self.all = max(self.all, together * 1024)
            peaks = (_kilobytes(pid, "status", "VmHWM") for pid in family)
            self.largest = max(self.largest, max(peaks, default=0) * 1024)


def _family(pid: int) -> list[int]:
    found = [pid]
    # The list grows while it is walked: children, grandchildren and so on.
    for one in found:
        with contextlib.suppress(OSError):
            for path in Path(f"/proc/{one}/task").glob("*/children"):
                found += [int(word) for word in path.read_text().split()]
    return found


def _ticks(pid: int) -> int:
    with contextlib.suppress(OSError):
        # After the command's name, which may hold anything: fields 12 and 13 are user and system time.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    return 0


def _kilobytes(pid: int, file: str, name: str) -> int:
    # A process may end while it is looked at.
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1])
    return 0


def _end(process: subprocess.Popen[bytes]) -> None:
    """End an unfinished contestant with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
