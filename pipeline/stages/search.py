"""search: every arm of the study spends its trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pipeline.engines import Assignment, open_engine
from pipeline.files import quiet, write_text
from pipeline.records.fingerprint import BUDGET
from pipeline.records.project import Project
from pipeline.records.recorded import Task
from pipeline.records.rows import as_csv, curve_rows, trial_columns, trial_row
from pipeline.space import Configuration
from pipeline.stages.context import Context, Result, open_context, open_pool, run
from pipeline.stages.views import deliver_owed
from pipeline.study import Arm, DataShape, Study
from pipeline.trial import Outcome
from pipeline.workers import Pool


def search(project: Project, name: str) -> dict[str, Result]:
    """Search every arm; write trials.csv and curves.csv. Arms by name.

    Raises:
        StudyError, DataError, StoreError: see `open_context`.
    """
    with open_context(project, name) as context:
        # One pool for all arms: its processes import their framework and trace their epochs once.
        longest = max(
            (task_of(context.study, arm) for arm in context.study.arms), key=lambda one: one.num_trials
        )
        with open_pool(context, longest, project.work(name) / "search") as pool:
            results = {arm.name: _run(context, arm, pool) for arm in context.study.arms}
        files = files_of(context.study, {arm: result.outcomes for arm, result in results.items()})
        for file, text in files.items():
            write_text(project.folder(name) / file, text)
        deliver_owed(context)
    return results


def files_of(study: Study, outcomes: Mapping[str, Iterable[Outcome]]) -> dict[str, str]:
    """The stage's result files by name, from the outcomes of each arm: what stands in each."""
    trials = [(arm, one) for arm, of_arm in outcomes.items() for one in of_arm]
    metrics = study.learner.metrics
    curves = [
        row
        for arm, one in trials
        for row in curve_rows({"arm": arm, "number": one.trial.number}, one, metrics)
    ]
    return {
        "trials.csv": as_csv(
            trial_columns(study.space, metrics), [trial_row(arm, one, metrics) for arm, one in trials]
        ),
        "curves.csv": as_csv(["arm", "number", "epoch", *metrics], curves),
    }


def task_of(study: Study, arm: Arm) -> Task:
    """What the stage runs for one arm."""
    return Task("search", arm.name, tables_of(study, arm), arm.search.trials, minutes=arm.search.minutes)


def _run(context: Context, arm: Arm, pool: Pool) -> Result:
    study, told = context.study, context.study.earlier.get(arm.name, ())
    objective, refused = study.objective, list[Configuration]()
    assignment = Assignment(
        arm,
        study.space_of(arm),
        study.defaults,
        study.seed,
        objective.metric,
        objective.is_maximized,
        allows=_limit(context, arm, refused),
        earlier=told,
    )
    with quiet():
        engine = open_engine(assignment)
    if arm.search.start_from:
        context.progress.say(f"search {arm.name}: learns from {len(told)} trials of {arm.search.start_from}.")
    rules = context.rules(arm.search.parallel, arm.search.patience)
    result = run(context, task_of(study, arm), engine, rules, pool)
    if refused:
        context.progress.say(f"search {arm.name}: {len(refused)} configurations were refused by at_most.")
    return result


def _limit(context: Context, arm: Arm, refused: list[Configuration]) -> Callable[[Configuration], bool]:
    """Whether a configuration may be trained; those that may not are put into `refused`."""
    learner, shape, at_most = context.study.learner, DataShape.of(context.card), arm.search.at_most

    def allows(configuration: Configuration) -> bool:
        is_small = at_most is None or learner.num_weights(configuration, shape) <= at_most.parameters
        if not is_small:
            refused.append(configuration)
        return is_small

    return allows


def tables_of(study: Study, arm: Arm) -> dict[str, Any]:
    """What the arm's sequence of trials depends on; its budget only says where the sequence is cut."""
    plan = study.plan()["search"]
    settings = next(table for table in plan["arms"] if table["name"] == arm.name)
    kept = {key: value for key, value in settings.items() if key not in BUDGET}
    return {**{key: value for key, value in plan.items() if key != "arms"}, "arm": kept}
