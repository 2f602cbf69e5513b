"""What became of earlier runs of a stage: goes on, extends, or starts anew, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.files import write_json
from pipeline.stages.fingerprint import difference

DONE = "done.json"


def finish(folder: Path, num_outcomes: int) -> None:
    """Note that a run of this stage has come to its end."""
    write_json(folder / DONE, {"num_outcomes": num_outcomes})


def sentence(
    stage: str, arm: str, folder: Path, facts: Mapping[str, Any], num_recorded: int, num_trials: int
) -> str:
    """What this run does with what is recorded, and why."""
    name = f"{stage} {arm}".strip()
    if num_recorded:
        finished = _num_finished(folder)
        if finished is None:
            return (
                f"{name}: goes on where it was stopped; {num_recorded} of {num_trials} trials are recorded."
            )
        if num_trials > finished:
            return f"{name}: extends the finished search of {finished} trials to {num_trials}."
        return f"{name}: all {num_recorded} trials are recorded; nothing is trained again."
    others = [path for path in folder.parent.glob(f"{folder.name.rsplit('-', 1)[0]}-*") if path != folder]
    known = [path / "facts.json" for path in others if (path / "facts.json").is_file()]
    if not known:
        return f"{name}: starts; {num_trials} trials."
    last = max(known, key=lambda path: path.stat().st_mtime)
    changed = difference(json.loads(last.read_text()), facts)
    return f"{name}: starts anew, because this has changed since the last time: {changed}."


def _num_finished(folder: Path) -> int | None:
    path = folder / DONE
    return int(json.loads(path.read_text())["num_outcomes"]) if path.is_file() else None
