"""A stage that DVC has started ends with it: nothing goes on writing beside the next `dvc repro`."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

EVERY_SECONDS = 0.2
SHELLS = ("sh", "bash", "dash", "zsh", "fish", "ksh", "ash")


def end_with_caller(status: int) -> None:
    """Exit with `status`, at once and whatever this process does, when the program that called it is gone.

    A killed program cannot say so, and its shell does not pass it on; what is recorded is safe at any moment.
    """
    threading.Thread(target=_watch, args=(_callers(), status), name="lifeline", daemon=True).start()


def _watch(callers: list[int], status: int) -> None:
    while _callers() == callers:
        time.sleep(EVERY_SECONDS)
    os._exit(status)


def _callers() -> list[int]:
    """This process's parent, and where that is a shell, the shell's parent too, up to the first program."""
    callers = [os.getppid()]
    while (above := _parent_of_shell(callers[-1])) is not None:
        callers.append(above)
    return callers


def _parent_of_shell(pid: int) -> int | None:
    try:
        name, _, rest = Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        # Not on this system, or gone by now.
        return None
    return int(rest.split()[1]) if name in SHELLS else None
