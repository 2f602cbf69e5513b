"""How a command ends: tidily when it is told to, and with the `dvc` that has started it."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

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


def end_tidily(status: int) -> None:
    """Let SIGTERM and Ctrl-C raise KeyboardInterrupt; the second one exits with `status`, at once.

    What is recorded is safe either way.
    """
    signals = [signal.SIGTERM]
    # One that was started deaf to it, as a shell's background jobs are, stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signals.append(signal.SIGINT)

    def interrupt(_: int, __: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, lambda *_: os._exit(status))
        raise KeyboardInterrupt

    for each in signals:
        signal.signal(each, interrupt)
