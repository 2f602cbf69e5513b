"""What a search is told of an earlier one: the trials that lie in the new space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import StudyError
from pipeline.space import Value
from pipeline.stages.rows import read_rows, values_of
from pipeline.study import Arm, Study

Told = tuple[dict[str, Value], float]


def earlier(study: Study, old: Study, path: Path) -> dict[str, list[Told]]:
    """By arm of the new study, values and score of each complete trial of the old one that it might make.

    Args:
        path: the old study's trials.csv.

    Raises:
        StudyError: the old scores say nothing of the new study's, or there are none.
    """
    where = f"studies/{study.name}/study.toml: [search] start_from"
    for part in ("dataset", "split", "objective", "trainer"):
        if getattr(study, part) != getattr(old, part):
            must = f"must name a study with the same {part}."
            raise StudyError.of(must, old.name, "Its scores do not compare: drop start_from.", where)
    if study.learner.sources() != old.learner.sources():
        raise StudyError.of("must name a study of the same model file.", old.name, "Drop start_from.", where)
    if not path.is_file():
        raise StudyError.of(
            "must name a study that has been searched.", old.name, f"Run: study search {old.name}", where
        )
    fixed = {arm.name: arm.fixed for arm in old.arms}
    made = []
    for row in read_rows(path):
        if row["state"] == "complete" and row["arm"] in fixed:
            values = {**old.defaults, **fixed[row["arm"]], **values_of(row, old.space)}
            made.append((values, float(row["score"])))
    return {
        arm.name: [(told, score) for values, score in made if (told := _told(values, study, arm)) is not None]
        for arm in study.arms
    }


def _told(values: Mapping[str, Value], study: Study, arm: Arm) -> dict[str, Value] | None:
    """The values that the arm's search would give a trial for this configuration; None: it never would."""
    names = study.space.names
    if any(values.get(name) != value for name, value in arm.fixed.items() if name not in names):
        return None
    found = study.space.active({name: values[name] for name in names if name in values})
    is_inside = all(entry.values.holds(found[entry.name]) for entry in study.space if entry.name in found)
    # One that counts must be there; what the old study did not have, nobody knows.
    is_whole = all(name in values for name in names if name in found or name not in values)
    return found if is_inside and is_whole else None
