"""The local records, which are the truth: a half line is cut off, what can be known is written again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.files import write_json
from pipeline.ledger import Ledger
from pipeline.stages import recorded
from pipeline.stages.current import facts_of
from pipeline.stages.doctor.finding import Finding, Patient, counted, from_error
from pipeline.stages.history import DONE
from pipeline.stages.running import TASK

PLACE = "record"


def damage(patient: Patient) -> Iterator[Finding]:
    """Records that cannot be read."""
    for folder in recorded.folders(patient.project, patient.name):
        shown = folder.relative_to(patient.project.root)
        try:
            recorded.read(folder)
        except StoreError as error:
            yield from _mendable(patient, folder, shown, error)


def _mendable(patient: Patient, folder: Path, shown: Path, error: StoreError) -> Iterator[Finding]:
    """What an unreadable record needs: all but its outcomes can be known from what the study is now."""
    damaged = Path(error.problems[0].where).name
    current = patient.in_use() if damaged != recorded.LEDGER else {}
    if damaged == DONE:
        sentence = f"{shown}/{DONE} is damaged; the stage no longer counts as finished."
        cure = "it is removed; the stage finds its end again without training"
        yield Finding(PLACE, sentence, cure, lambda: (folder / DONE).unlink(missing_ok=True))
    elif folder.name in current:

        def rewrite() -> None:
            task, card = current[folder.name], patient.card
            if card:
                write_json(folder / recorded.FACTS, facts_of(task, card))
                write_json(folder / TASK, task.as_dict())

        sentence = f"{shown}/{damaged} is missing or damaged."
        yield Finding(PLACE, sentence, "it is written again", rewrite)
    else:
        yield from from_error(PLACE, error)


def ends(patient: Patient) -> Iterator[Finding]:
    """Records whose last line was cut short."""
    for one in patient.records():
        if one.num_torn_bytes > 0:
            path = one.folder / recorded.LEDGER
            sentence = (
                f"{path.relative_to(patient.project.root)} ends with half a line, "
                f"{counted(one.num_torn_bytes, 'byte')} that a kill has left; no outcome is in it."
            )
            yield Finding(PLACE, sentence, "it is cut off", lambda path=path: Ledger(path).trim())  # type: ignore[misc]
