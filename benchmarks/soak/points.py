"""The command line, with signals to itself: `python -m benchmarks.soak.points STUDY-COMMAND`.

CRASHES is a JSON list of {"sign": ..., "point": [...], "count": ...}; each comes when its point is passed for
that time. The points lie in the program's own functions, which are wrapped here and know nothing of it:

    ask ARM         before the engine is asked
    epoch ARM       an epoch has just been ordered; of a stage without arms: its name
    result ARM      a trial has ended, and nothing of it is recorded
    tell ARM        it is recorded, and the engine has not heard of it
    tracking ARM    its run is half-written in MLflow
    write FILE      the file is whole, but not yet in its place
    promote           the winner was registered and promoted, and nothing is written
"""

from __future__ import annotations

import json
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import __main__ as command_line
from pipeline.records.ledger import Ledger
from pipeline.stages import champion
from pipeline.stages import search as search_stage
from pipeline.tracking.live import Live
from pipeline.tracking.mlflow_view import MlflowView
from pipeline.workers import Pool

CRASHES = json.loads(os.environ["CRASHES"])
passed: Counter[tuple[str, ...]] = Counter()
owed_interrupts: list[int] = []


def come_by(*point: str, worker: int | None = None) -> None:
    """Send what is due at this point: to this process, or a stop to the worker that is at it."""
    passed[point] += 1
    for crash in CRASHES:
        if tuple(crash["point"]) != point or crash["count"] != passed[point]:
            continue
        with Path(os.environ["CRASHES_SENT"]).open("a") as log:
            log.write(json.dumps(crash) + "\n")
        if crash["sign"] == "FULL":
            # From here on no file grows, as on a full disk.
            resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
            continue
        if crash["sign"] == "TWICE":
            owed_interrupts.append(signal.SIGINT)
        number = {"TWICE": signal.SIGINT}.get(crash["sign"]) or signal.Signals[f"SIG{crash['sign']}"]
        os.kill(worker if worker and number == signal.SIGSTOP else os.getpid(), number)


def once_more() -> None:
    """The second of two interrupts comes while the first one is being tidied up after."""
    if owed_interrupts:
        os.kill(os.getpid(), owed_interrupts.pop())


class Watched:
    """An engine whose asks and tells are points."""

    def __init__(self, engine: Any, arm: str) -> None:
        self.engine, self.arm, self.report = engine, arm, engine.report

    def ask(self) -> Any:
        """Pass by, then ask."""
        come_by("ask", self.arm)
        return self.engine.ask()

    def tell(self, trial: Any, outcome: Any) -> None:
        """Pass by, then tell."""
        come_by("tell", self.arm)
        self.engine.tell(trial, outcome)


def before(owner: Any, name: str, pass_by: Callable[..., None], after: bool = False) -> None:
    """Let `owner.name` pass by with its arguments, before or after it does its work."""
    original = getattr(owner, name)

    def wrapped(*given: Any, **named: Any) -> Any:
        if not after:
            pass_by(*given)
        answer = original(*given, **named)
        if after:
            pass_by(*given)
        return answer

    setattr(owner, name, wrapped)


def ordered(pool: Any, index: int, message: dict[str, Any]) -> None:
    """An epoch was ordered, by the arm that is searched now or by the stage that the folder names."""
    if message["do"] == "epoch":
        folder = pool.log_folder
        arm = searched[-1] if folder.name == "search" else place(folder)
        come_by("epoch", arm, worker=pool._workers[index].process.pid)


def place(folder: Path) -> str:
    """The arm of a search's folder, or the stage of another."""
    return folder.name.rsplit("-", 1)[0].removeprefix("search-")


def watched(assignment: Any) -> Watched:
    """The arm's engine, its arm noted: arms are searched one after the other."""
    searched.append(assignment.arm.name)
    return Watched(open_engine(assignment), assignment.arm.name)


searched: list[str] = []
open_engine = search_stage.open_engine
search_stage.open_engine = watched
before(Pool, "_tell", ordered, after=True)
before(Ledger, "append", lambda ledger, *_: come_by("result", place(ledger.path.parent)))
before(MlflowView, "_fill", lambda view, *_: come_by("tracking", view._facts.arm or view._facts.stage))
before(Path, "replace", lambda _, target: come_by("write", Path(target).name))
before(champion, "promote", lambda *_: come_by("promote"), after=True)
before(Live, "close", lambda *_: once_more())
before(command_line.click, "echo", lambda *_: once_more())

if __name__ == "__main__":
    command_line.main()
