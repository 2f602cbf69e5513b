"""search: every arm of the study spends its trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.engines import Assignment, open_engine
from pipeline.engines.store import Store
from pipeline.files import digest
from pipeline.stages.delivery import deliver_owed
from pipeline.stages.fingerprint import BUDGET
from pipeline.stages.project import Project
from pipeline.stages.rows import METRICS, curve_rows, trial_columns, trial_row, write_rows
from pipeline.stages.running import Bench, Result, Task, open_bench, quiet, run
from pipeline.study import Arm


def search(project: Project, name: str) -> dict[str, Result]:
    """Search every arm; write trials.csv and curves.csv. Arms by name.

    Raises:
        StudyError, DataError, StoreError: see `open_bench`.
    """
    with open_bench(project, name) as bench:
        results = {arm.name: _run(bench, arm) for arm in bench.study.arms}
        _write(bench, results)
        deliver_owed(bench)
    return results


def _write(bench: Bench, results: Mapping[str, Result]) -> None:
    folder = bench.project.folder(bench.study.name)
    rows = [trial_row(arm, one) for arm, result in results.items() for one in result.outcomes]
    write_rows(folder / "trials.csv", trial_columns(bench.study.space), rows)
    curves = [
        row
        for arm, result in results.items()
        for one in result.outcomes
        for row in curve_rows({"arm": arm, "number": one.trial.number}, one)
    ]
    write_rows(folder / "curves.csv", ["arm", "number", "epoch", *METRICS], curves)


def _run(bench: Bench, arm: Arm) -> Result:
    study = bench.study
    objective = study.objective
    assignment = Assignment(arm, study.space, study.seed, objective.metric, objective.is_maximized)
    tables = tables_of(bench, arm)
    task = Task("search", arm.name, tables, arm.search.trials, minutes=arm.search.minutes)
    # Optuna freezes the choices of a study, so each space and seed has a study of its own there.
    name = f"{study.name}-{arm.name}-{digest([tables, bench.card['sha256']])[:8]}"
    store = Store(bench.project.optuna_url, name, assignment, bench.progress.say)
    with quiet():
        engine = open_engine(assignment)
    return run(bench, task, engine, bench.rules(arm.search.parallel, arm.search.patience), store)


def tables_of(bench: Bench, arm: Arm) -> dict[str, Any]:
    """What the arm's sequence of trials depends on; its budget only says where the sequence is cut."""
    plan = bench.study.plan()["search"]
    settings = next(table for table in plan["arms"] if table["name"] == arm.name)
    kept = {key: value for key, value in settings.items() if key not in BUDGET}
    return {**{key: value for key, value in plan.items() if key != "arms"}, "arm": kept}
