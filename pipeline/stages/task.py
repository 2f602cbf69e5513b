"""One list of trials to be run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Task:
    """One list of trials to be run: an arm of the search, the baseline, or confirm.

    Attributes:
        stage: baseline, search or confirm.
        arm: the arm's name, or empty.
        tables: the study's settings that the outcomes depend on.
        num_trials: how many trials there will be at most.
        repeats: how often each configuration is trained in a row; 0 for a search, whose trials all differ.
        prefix: what the names of its MLflow metrics begin with.
        minutes: cut the search after so long.
        keeps_weights: whether the last weights of every trial are kept.
    """

    stage: str
    arm: str
    tables: Mapping[str, Any]
    num_trials: int
    repeats: int = 0
    prefix: str = ""
    minutes: float | None = None
    keeps_weights: bool = False

    def folder_name(self, key: str) -> str:
        """What the folder of its record is called."""
        return "-".join(filter(None, (self.stage, self.arm, key)))

    def as_dict(self) -> dict[str, Any]:
        """What its record keeps of it; the tables are among the facts."""
        return {name: value for name, value in vars(self).items() if name != "tables"}

    def name_of(self, number: int) -> str:
        """The name of a trial's MLflow run."""
        if not self.repeats:
            return f"trial-{number:03d}"
        index, repeat = divmod(number, self.repeats)
        role = "baseline" if self.stage == "baseline" else f"candidate-{index + 1}"
        return f"{role}-repeat-{repeat}"
