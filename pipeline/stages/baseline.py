"""baseline: the study's plain configuration, trained on several seeds."""

from __future__ import annotations

from pipeline.search import Listed
from pipeline.stages.delivery import deliver_owed
from pipeline.stages.project import Project
from pipeline.stages.rows import METRICS, curve_rows, write_rows
from pipeline.stages.running import Bench, Result, Task, open_bench, run
from pipeline.trial import Outcome, Trial


def baseline(project: Project, name: str) -> Result:
    """Train the baseline; write baseline.csv and baseline-curves.csv.

    Raises:
        StudyError, DataError, StoreError: see `open_bench`.
    """
    with open_bench(project, name) as bench:
        result = _run(bench)
        outcomes = result.outcomes
        folder = project.folder(name)
        write_rows(folder / "baseline.csv", ["repeat", "state", "epochs", *METRICS], map(_row, outcomes))
        rows = [row for one in outcomes for row in curve_rows({"repeat": one.trial.number}, one)]
        write_rows(folder / "baseline-curves.csv", ["repeat", "epoch", *METRICS], rows)
        deliver_owed(bench)
    return result


def _run(bench: Bench) -> Result:
    study = bench.study
    configuration = study.baseline.configuration
    repeats = study.confirm.repeats
    trials = [
        Trial(repeat, {}, configuration, int(configuration["epochs"]), ("baseline", repeat))
        for repeat in range(repeats)
    ]
    # More repeats go on with the same sequence.
    tables = {key: value for key, value in study.plan()["baseline"].items() if key != "repeats"}
    task = Task("baseline", "", tables, repeats, repeats)
    return run(bench, task, Listed(trials), bench.rules(study.search.parallel))


def _row(outcome: Outcome) -> dict[str, object]:
    last = outcome.curve[-1] if outcome.curve else {}
    return {"repeat": outcome.trial.number, "state": outcome.state, "epochs": len(outcome.curve), **last}
