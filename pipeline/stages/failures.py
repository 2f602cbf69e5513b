"""Failures that end a stage: of the machine, too many in a row; of the model, from the first trial on."""

from __future__ import annotations

import re
from collections.abc import Callable

from pipeline.errors import StoreError, StudyError, shortened
from pipeline.files import digest
from pipeline.search import DIVERGED
from pipeline.trial import OUT_OF_TIME, REFUSED, Outcome

MOST = 3


class Failures:
    """Passes outcomes on to be kept; what may be no trial's own fault only when training has worked after it.

    What is kept counts for good, so an accident among the last few must not be kept before it is known that
    the machine itself is well, nor an exception that the first trials share: once that is mended, the same
    trials are trained as if nothing had happened.

    Args:
        keep: records an outcome.
        limit: so many different configurations that break off in a row end the search.
        where: the record's folder, where the workers' logs are.
        is_new: whether nothing is recorded yet, so that one exception in the first trials ends the search.
        is_baseline: whether each must be trained, because all others are compared with them.
    """

    def __init__(
        self,
        keep: Callable[[Outcome], None],
        limit: int,
        where: str,
        is_new: bool = False,
        is_baseline: bool = False,
    ) -> None:
        self._keep, self._limit, self._where = keep, limit, where
        self._is_first, self._is_baseline = is_new, is_baseline
        self._held: list[Outcome] = []

    def keep(self, outcome: Outcome) -> None:
        """Take the next outcome.

        Raises:
            StoreError: too many accidents in a row; none of them is recorded.
            StudyError: the first trials have all failed by the same exception, or a baseline has failed;
                none of them is recorded.
        """
        if self._is_baseline and outcome.state == "failed" and not outcome.is_accident:
            raise StudyError.of(
                "the baseline must be trained on every fresh seed.",
                f"repeat {outcome.trial.number}: {shortened(outcome.reason, 180)}",
                "Mend the model or [baseline], then run again: no failure was recorded; worker-*.log in this "
                "folder may say more.",
                self._where,
            )
        if self._is_shared(outcome):
            self._held.append(outcome)
            if len(self._held) == MOST:
                raise StudyError.of(
                    f"the first {MOST} trials must not all fail by the same exception.",
                    shortened(outcome.reason, 180),
                    "Mend the model or the space, then run again; worker-*.log in this folder may say more.",
                    self._where,
                )
            return
        if self._is_first:
            self._is_first = False
            self.flush()
        if not outcome.is_accident:
            self.flush()
            self._keep(outcome)
            return
        self._held.append(outcome)
        causes = {digest(dict(one.trial.configuration)): one for one in self._held}
        if len(causes) < self._limit:
            return
        configurations = "a configuration" if self._limit == 1 else f"{self._limit} configurations in a row"
        raise StoreError.of(
            f"training must not break off on {configurations}.",
            _reasons(list(causes.values())),
            "Free memory or space; worker-*.log in this folder may say more. Then run again: what broke off "
            "was not recorded and is trained anew.",
            self._where,
        )

    def _is_shared(self, outcome: Outcome) -> bool:
        """Whether it fails as all trials before it have."""
        is_own = outcome.is_accident or outcome.reason.startswith((DIVERGED, OUT_OF_TIME, REFUSED))
        if not self._is_first or outcome.state != "failed" or is_own:
            return False
        return all(_kind(one.reason) == _kind(outcome.reason) for one in self._held)

    def flush(self) -> None:
        """Keep what was held back: the machine is well, or the search has ended."""
        for outcome in self._held:
            self._keep(outcome)
        self._held.clear()


def _kind(reason: str) -> str:
    """A reason without what differs between configurations: shapes, sizes, values."""
    return re.sub(r"\d+", "#", reason)


def _reasons(accidents: list[Outcome]) -> str:
    """Why each broke off, short enough for a message; those of one reason together."""
    trials: dict[str, list[str]] = {}
    for one in accidents:
        trials.setdefault(one.reason, []).append(str(one.trial.number))
    room = 180 // len(trials) - 15
    return "; ".join(f"trial {', '.join(which)}: {shortened(why, room)}" for why, which in trials.items())
