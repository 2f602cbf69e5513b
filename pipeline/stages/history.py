"""What became of earlier runs of a stage: goes on, extends, or starts anew, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.files import read_json, write_json
from pipeline.stages.fingerprint import difference

DONE = "done.json"
MEND = "Restore it from a copy, or remove it: the record beside it stays."


def finish(folder: Path, num_trials: int, num_outcomes: int, elapsed_seconds: float) -> None:
    """Note that a run of this stage, of `num_trials` at most, has come to its end."""
    done = {"num_trials": num_trials, "num_outcomes": num_outcomes, "elapsed_seconds": elapsed_seconds}
    write_json(folder / DONE, done)


def is_finished(folder: Path) -> bool:
    """Whether a run of this stage has come to its end."""
    return (folder / DONE).is_file()


def elapsed_seconds(folder: Path) -> float:
    """What the last finished run had taken: a budget of minutes that is spent stays spent."""
    return float(_done(folder).get("elapsed_seconds", 0.0))


def sentence(
    stage: str, arm: str, folder: Path, facts: Mapping[str, Any], num_recorded: int, num_trials: int
) -> str:
    """What this run does with what is recorded, and why."""
    name = f"{stage} {arm}".strip()
    if num_recorded:
        return f"{name}: {_continued(_done(folder), num_recorded, num_trials)}"
    known = [path for path in folder.parent.glob("*/facts.json") if _is_earlier(path.parent, folder)]
    if not known:
        return f"{name}: starts; {num_trials} trials."
    last = max(known, key=lambda path: path.stat().st_mtime)
    changed = difference(read_json(last, MEND), facts)
    return f"{name}: starts anew, because this has changed since the last time: {changed}."


def _is_earlier(other: Path, folder: Path) -> bool:
    """Whether another folder is of the same stage and arm; the name of an arm may hold dashes, a key none."""
    return other.name != folder.name and other.name.rpartition("-")[0] == folder.name.rpartition("-")[0]


def _continued(done: Mapping[str, Any], num_recorded: int, num_trials: int) -> str:
    if not done:
        return f"goes on where it was stopped; {num_recorded} of {num_trials} trials are recorded."
    if num_trials > done["num_trials"]:
        return f"extends the finished search of {done['num_outcomes']} trials to {num_trials}."
    if done["num_outcomes"] < num_trials:
        return (
            f"ended with {done['num_outcomes']} of {num_trials} trials; "
            "goes on if the study now has more time, patience or values."
        )
    return f"all {num_trials} trials are recorded; nothing is trained again."


def _done(folder: Path) -> dict[str, Any]:
    path = folder / DONE
    return read_json(path, MEND) if path.is_file() else {}
