"""baseline: the study's plain configuration on the fresh seeds; confirm compares the best with it."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.files import write_text
from pipeline.records.project import Project
from pipeline.records.recorded import Task
from pipeline.records.rows import as_csv, curve_rows
from pipeline.search import Listed
from pipeline.stages.context import Context, Result, open_context, run
from pipeline.stages.views import deliver_owed
from pipeline.study import Study
from pipeline.trial import Outcome, Trial


def baseline(project: Project, name: str) -> Result:
    """Train the baseline; write baseline.csv and baseline-curves.csv.

    Raises:
        StudyError, DataError, StoreError: see `open_context`.
    """
    with open_context(project, name) as context:
        result = trained(context)
        for file, text in files_of(context.study, result.outcomes).items():
            write_text(project.folder(name) / file, text)
        deliver_owed(context)
    return result


def files_of(study: Study, outcomes: Iterable[Outcome]) -> dict[str, str]:
    """The stage's result files by name: what stands in each."""
    outcomes, metrics = list(outcomes), study.learner.metrics
    rows = [_row(one, metrics) for one in outcomes]
    curves = [row for one in outcomes for row in curve_rows({"repeat": one.trial.number}, one, metrics)]
    return {
        "baseline.csv": as_csv(["repeat", "state", "epochs", *metrics], rows),
        "baseline-curves.csv": as_csv(["repeat", "epoch", *metrics], curves),
    }


def task_of(study: Study) -> Task:
    """What the stage runs."""
    repeats = study.confirm.repeats
    # More repeats go on with the same sequence.
    tables = {key: value for key, value in study.plan()["baseline"].items() if key != "repeats"}
    return Task("baseline", "", tables, repeats, repeats, keeps_weights=True)


def trained(context: Context) -> Result:
    """Every repeat, trained or played from its record; repeat r draws as repeat r of confirm's candidates."""
    study = context.study
    configuration = study.baseline.configuration
    task = task_of(study)
    trials = [
        Trial(repeat, {}, configuration, int(configuration["epochs"]), ("confirm", repeat))
        for repeat in range(task.repeats)
    ]
    return run(context, task, Listed(trials), context.rules(study.search.parallel))


def _row(outcome: Outcome, metrics: Iterable[str]) -> dict[str, object]:
    row = {"repeat": outcome.trial.number, "state": outcome.state, "epochs": len(outcome.curve)}
    # A loop of the user's own may report more than the study asks for.
    return {**row, **{name: outcome.metrics.get(name) for name in metrics}}
