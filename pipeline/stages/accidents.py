"""Outcomes for which the machine is to blame, not the configuration: too many in a row end the search."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.errors import StoreError, shortened
from pipeline.files import digest
from pipeline.trial import Outcome

MOST = 3


class Accidents:
    """Passes outcomes on to be kept; accidents only when training has been seen to work after them.

    What is kept counts for good, so an accident among the last few must not be kept before it is known that
    the machine itself is well: once that is mended, the same trials are trained as if nothing had happened.

    Args:
        keep: records an outcome.
        limit: so many different configurations that fail in a row end the search.
        where: the record's folder, where the workers' logs are.
    """

    def __init__(self, keep: Callable[[Outcome], None], limit: int, where: str) -> None:
        self._keep, self._limit, self._where = keep, limit, where
        self._held: list[Outcome] = []

    def keep(self, outcome: Outcome) -> None:
        """Take the next outcome.

        Raises:
            StoreError: too many accidents in a row; none of them is recorded.
        """
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

    def flush(self) -> None:
        """Keep what was held back: the machine is well, or the search has ended."""
        for outcome in self._held:
            self._keep(outcome)
        self._held.clear()


def _reasons(accidents: list[Outcome]) -> str:
    """Why each broke off, short enough for a message; those of one reason together."""
    trials: dict[str, list[str]] = {}
    for one in accidents:
        trials.setdefault(one.reason, []).append(str(one.trial.number))
    room = 180 // len(trials) - 15
    return "; ".join(f"trial {', '.join(which)}: {shortened(why, room)}" for why, which in trials.items())
