"""Writing to a view from a thread of its own: whatever a store does, who trains never waits for it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from pipeline.tracking.store import reason_of
from pipeline.trial import Outcome, Trial

# Longer than any single call may take: after so long without a sign of life a store hangs.
SILENCE_SECONDS = 60.0
# A person who interrupts waits for the program.
INTERRUPTED_SECONDS = 5.0
DONE, INTERRUPTED = "done", "interrupted"


class View(Protocol):
    """Shows a stage's outcomes in MLflow or Optuna's storage. Whatever is repeated, nothing doubles."""

    def begin(self, trial: Trial) -> None:
        """A trial is in flight."""

    def put(self, outcome: Outcome) -> None:
        """A trial has ended."""

    def finish(self, ended: str) -> Iterable[object]:
        """Show what is recorded and nothing else; an item for each sign of life."""

    def close(self) -> None:
        """Let go of the store."""


class Live:
    """Hands everything on to a view, in order. The first failure is said and ends the writing.

    What is missing then is made from the ledger later: nothing is tried again here.

    Args:
        title: what a person calls the view.
        url: where it is kept.
        opened: makes the view; called in the thread, once there is anything to write.
        say: takes the sentence about a failure.
    """

    def __init__(self, title: str, url: str, opened: Callable[[], View], say: Callable[[str], None]) -> None:
        self.title = title
        self.failure = ""
        self._is_whole = False
        self._url, self._opened, self._say = url, opened, say
        self._jobs: queue.SimpleQueue[Callable[[View], Iterable[object] | None] | None] = queue.SimpleQueue()
        self._sign_of_life_at = time.monotonic()
        self._thread = threading.Thread(target=self._work, name=title, daemon=True)

    def begin(self, trial: Trial) -> None:
        """A trial is in flight."""
        self._do(lambda view: view.begin(trial))

    def put(self, outcome: Outcome) -> None:
        """A trial has ended."""
        self._do(lambda view: view.put(outcome))

    def close(self, ended: str, patience: float = SILENCE_SECONDS) -> bool:
        """Wait until all is written, as long as the store shows signs of life; whether all of it was."""
        if self._thread.ident is None and ended != DONE:
            # Cut before there was anything to show.
            return False
        self._do(lambda view: view.finish(ended))
        self._jobs.put(None)
        self._sign_of_life_at = time.monotonic()
        while self._thread.is_alive() and not self.failure:
            self._thread.join(0.1)
            if time.monotonic() - self._sign_of_life_at > patience:
                self._fail(TimeoutError("no answer"))
        return self._is_whole

    def _do(self, job: Callable[[View], Iterable[object] | None]) -> None:
        if not self.failure:
            self._jobs.put(job)
            if self._thread.ident is None:
                self._thread.start()

    def _work(self) -> None:
        try:
            view = self._opened()
            try:
                while (job := self._jobs.get()) is not None and not self.failure:
                    for _ in job(view) or ():
                        self._sign_of_life_at = time.monotonic()
                    self._sign_of_life_at = time.monotonic()
                self._is_whole = not self.failure
            finally:
                # What is left to be said of a store that has failed was said.
                with suppress(Exception):
                    view.close()
        # Whatever a store or its client throws, the training beside it goes on.
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if not self.failure:
            self.failure = reason_of(error, self._url)
            self._say(f"{self.title} cannot be written ({self.failure}).")
