"""Which configurations are retrained, read from trials.csv."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError
from pipeline.space import Value
from pipeline.stages.rows import read_rows, values_of
from pipeline.study import Study


@dataclass(frozen=True)
class Candidate:
    """A configuration that may win, with the trial that proposed it."""

    arm: str
    number: int
    configuration: Mapping[str, Value]
    search_score: float


def candidates(study: Study, path: Path) -> list[Candidate]:
    """The `top` distinct configurations over all arms, best first, and the best of each arm.

    Raises:
        DataError: no trial is complete, or they are not this study's.
    """
    fixed = {arm.name: arm.fixed for arm in study.arms}
    sign = -1 if study.objective.is_maximized else 1
    try:
        rows = [row for row in read_rows(path) if row["state"] == "complete" and row["arm"] in fixed]
        found = [_candidate(row, study, fixed[row["arm"]]) for row in rows]
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError.of(
            "the trials must be those of the study file as it is now.",
            error,
            f"Run: study search {study.name}",
            str(path),
        ) from error
    found.sort(key=lambda one: (sign * one.search_score, one.number, one.arm))
    if not found:
        raise DataError.of(
            "at least one trial must be complete.",
            "none",
            "Read the reasons in that file, widen the space or give more trials.",
            str(path),
        )
    distinct = _distinct(found)
    # Every arm has its say: without its best, a comparison of arms would rest on search scores alone.
    firsts = [next((one for one in found if one.arm == name), None) for name in fixed]
    chosen = distinct[: study.confirm.top]
    return chosen + [one for one in firsts if one is not None and one not in chosen]


def _candidate(row: Mapping[str, str], study: Study, fixed: Mapping[str, Value]) -> Candidate:
    values = {**study.defaults, **fixed, **values_of(row, study.space), "epochs": int(row["epochs"])}
    return Candidate(row["arm"], int(row["number"]), values, float(row["score"]))


def _distinct(found: list[Candidate]) -> list[Candidate]:
    """The best of equal configurations, trained for however many epochs."""
    kept: dict[tuple[tuple[str, Value], ...], Candidate] = {}
    for one in found:
        key = tuple(sorted((name, value) for name, value in one.configuration.items() if name != "epochs"))
        kept.setdefault(key, one)
    return list(kept.values())
