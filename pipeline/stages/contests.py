"""Arms that are each searched several times: which finds better configurations, over searches and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import statistics
from pipeline.stages.answers import Answers, Contender
from pipeline.study import Study


def contests(
    study: Study, leaders: Mapping[str, Contender], on_val: Mapping[int, Answers]
) -> list[dict[str, Any]]:
    """What is compared, once for each value of the second setting: the best group, and how far it is ahead.

    A search counts as one number: the objective of its best configuration on fresh seeds, so that the
    interval is over other searches, and over other inputs too where answers on val give the objective.

    Args:
        leaders: the confirmed best of each search that has one.
        on_val: the answers of each leader, by its id; empty for a metric of the user's own.
    """
    told = []
    for at, groups in study.rivals.items():
        found = {
            group: [leaders[name] for name in searches if name in leaders]
            for group, searches in groups.items()
        }
        means = {group: float(np.mean([one.mean for one in best])) for group, best in found.items() if best}
        # With one search nobody knows how much another would differ.
        counted = [group for group in means if len(found[group]) > 1]
        if len(groups) < 2 or not counted:
            continue
        sign = -1 if study.objective.is_maximized else 1
        best, *others = sorted(counted, key=lambda group: sign * means[group])
        pairs = {other: (found[best], found[other]) for other in others}
        parts = {other: _parts(*pair, on_val) for other, pair in pairs.items()}
        told.append(
            {
                "at": at,
                "best": best,
                "means": means,
                "ahead_of": {other: one.interval().as_dict() for other, one in parts.items()},
                "resolution": {
                    other: statistics.resolution(one, one.mean).as_dict() for other, one in parts.items()
                },
                "improvement": {
                    other: _improvement(*pair, study.objective.is_maximized) for other, pair in pairs.items()
                },
            }
        )
    return told


def _parts(
    ones: Sequence[Contender], others: Sequence[Contender], on_val: Mapping[int, Answers]
) -> statistics.Components:
    if not on_val:
        return statistics.Components.unpaired([one.mean for one in ones], [one.mean for one in others])
    return statistics.Components.of(_of_searches(ones, on_val), _of_searches(others, on_val))


def _of_searches(found: Sequence[Contender], on_val: Mapping[int, Answers]) -> NDArray[np.float64]:
    """(num_searches, num_inputs): for each search what its best gives for each input, its seeds' mean."""
    return np.stack([on_val[id(one)].per_input(on_val[id(one)].metric).mean(axis=0) for one in found])


def _improvement(
    ones: Sequence[Contender], others: Sequence[Contender], is_maximized: bool
) -> dict[str, Any] | None:
    """How likely one more search of the first finds better than one of the others; None for too few."""
    sign = 1 if is_maximized else -1
    pair = ([sign * one.mean for one in ones], [sign * one.mean for one in others])
    return statistics.improvement(*pair)
