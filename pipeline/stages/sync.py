"""sync: what MLflow has missed, delivered from the local records."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.stages.delivery import deliver
from pipeline.stages.project import Project
from pipeline.stages.recorded import folders, read
from pipeline.stages.running import open_bench


def sync(project: Project, name: str) -> Iterator[str]:
    """Deliver every recorded outcome of the study; a line for each record. What is there is left as it is.

    Raises:
        StudyError, DataError, StoreError: see `open_bench`; also if MLflow still does not answer, or a
            record is damaged.
    """
    with open_bench(project, name) as bench:
        for folder in folders(project, name):
            one = read(folder)
            deliver(bench, one)
            yield f"{folder.name}: {len(one.outcomes)} runs are in MLflow."
