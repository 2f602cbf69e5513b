"""What a person sees of long work: a live view on a terminal, plain lines where there is none."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from pipeline.space import Value
from pipeline.trial import EpochResult, Outcome

LINES_EVERY_SECONDS = 5.0


class Progress:
    """Trials done, the best so far, the time left. A context manager."""

    def __init__(self, metric: str, is_maximized: bool) -> None:
        self._metric = metric
        self._sign = 1 if is_maximized else -1
        self._console = Console(stderr=True, highlight=False)
        self._best: float | None = None
        self._done = self._total = 0
        self._title = ""
        self._said = 0.0
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, note="", visible=False)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """One sentence, at once."""
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, title: str, total: int) -> None:
        """A list of `total` trials begins."""
        self._title, self._total, self._done, self._best = title, total, 0, None
        self._bar.reset(self._task, total=total, description=title, note="", visible=True)

    def epoch(self, result: EpochResult) -> None:
        """An epoch was handed over."""
        value = result.metrics.get(self._metric)
        shown = f"{self._metric} {value:.4f}" if value is not None else result.reason
        self._note(f"trial {result.number} epoch {result.epoch}: {shown}")

    def ended(self, outcome: Outcome) -> None:
        """A trial has ended."""
        self._done += 1
        score = outcome.score if outcome.state == "complete" else None
        if score is not None and (self._best is None or self._sign * score > self._sign * self._best):
            self._best = score
        self._bar.advance(self._task)
        if not self._console.is_terminal and self._is_due():
            best = "none yet" if self._best is None else f"{self._best:.4f}"
            self.say(f"{self._title}: {self._done} of {self._total}, best {self._metric} {best}")

    def _is_due(self) -> bool:
        """A line now and then, and the last one always."""
        now = time.monotonic()
        if self._done < self._total and now - self._said < LINES_EVERY_SECONDS:
            return False
        self._said = now
        return True

    def _note(self, text: str) -> None:
        best = "" if self._best is None else f"best {self._best:.4f}; "
        self._bar.update(self._task, note=best + text)


def in_words(values: Mapping[str, Value]) -> str:
    """Values in a line: learning_rate 0.001, dropout 0.2."""
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )
