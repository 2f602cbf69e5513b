"""sync: what MLflow has missed, delivered from the local records."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.errors import StoreError
from pipeline.stages.delivery import deliver, records
from pipeline.stages.project import Project
from pipeline.stages.running import open_bench

PATIENCE_SECONDS = 20.0


def sync(project: Project, name: str) -> Iterator[str]:
    """Deliver every recorded outcome of the study; a line for each record. What is there is left as it is.

    Raises:
        StudyError, DataError, StoreError: see `open_bench`; also if MLflow still does not answer.
    """
    with open_bench(project, name) as bench:
        for folder in records(project, name):
            done = deliver(bench, folder, PATIENCE_SECONDS)
            if done.num_missing:
                raise StoreError.of(
                    "MLflow must answer.",
                    f"{done.num_missing} runs could not be delivered",
                    "Start the tracking server or mend the store, then run again.",
                    folder.name,
                )
            yield f"{folder.name}: {done.num_outcomes} runs are in MLflow."
