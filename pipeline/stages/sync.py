"""sync: what MLflow has missed, delivered from the local records."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import StoreError
from pipeline.files import read_json
from pipeline.ledger import Ledger
from pipeline.stages.history import is_finished
from pipeline.stages.project import Project
from pipeline.stages.running import TASK, Task, open_bench, open_tracker

MEND = "Run the stage again if its settings still stand: it writes the file anew. Else restore it."


def sync(project: Project, name: str) -> Iterator[str]:
    """Deliver every recorded outcome of the study; a line for each record. What is there is left as it is.

    Raises:
        StudyError, DataError, StoreError: see `open_bench`; also if MLflow still does not answer.
    """
    with open_bench(project, name) as bench:
        for path in sorted(project.work(name).glob(f"*/{TASK}")):
            folder = path.parent
            facts = read_json(folder / "facts.json", MEND)
            task = Task(**read_json(path, MEND), tables=facts["study"])
            outcomes = Ledger(folder / "record.jsonl").outcomes.values()
            status = "FINISHED" if is_finished(folder) else "KILLED"
            with open_tracker(bench, task, folder.name.rsplit("-", 1)[1], status) as tracker:
                for outcome in outcomes:
                    tracker.record(outcome, task.name_of(outcome.trial.number))
            if tracker.undelivered:
                raise StoreError.of(
                    "MLflow must answer.",
                    f"{tracker.undelivered} runs could not be delivered",
                    "Start the tracking server or mend the store, then run again.",
                    folder.name,
                )
            yield f"{folder.name}: {len(outcomes)} runs are in MLflow."
