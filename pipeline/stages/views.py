"""The views of a study's records, MLflow and Optuna's storage: written as outcomes come, or made anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import shortened
from pipeline.files import digest
from pipeline.records import fingerprint
from pipeline.records.project import Project
from pipeline.records.recorded import Recorded, Task, readable
from pipeline.tracking.entry import Entry, StageFacts, entry_of
from pipeline.tracking.live import DONE, INTERRUPTED, INTERRUPTED_SECONDS, Live, View
from pipeline.trial import Outcome

if TYPE_CHECKING:
    from pipeline.stages.context import Context

MLFLOW, OPTUNA = "mlflow", "optuna"
# Of a record that was made on other data, or by other code or packages, MLflow is told of these alone.
KNOWN = ("machine", "packages")


@contextmanager
def shown(context: Context, one: Recorded) -> Iterator[list[Live]]:
    """The record's views, written while outcomes come; a view that fails is said, and owed from then on."""

    def say(text: str) -> None:
        later = f"it is delivered later, by the next stage or by: study repair {context.study.name}"
        context.progress.say(f"{text} Nothing is lost: the local record has everything, and {later}")

    views = {name: _live(context, one, name, say) for name in names(one.task)}
    for name in views:
        _mark(one.folder, name).unlink(missing_ok=True)
    ended = DONE
    try:
        yield list(views.values())
    except (KeyboardInterrupt, SystemExit):
        ended = INTERRUPTED
        raise
    except BaseException as error:
        ended = shortened(f"{type(error).__name__}: {error}", 1_000)
        raise
    finally:
        patience = (INTERRUPTED_SECONDS,) if ended == INTERRUPTED else ()
        for name, view in views.items():
            if view.close(ended, *patience) and ended == DONE:
                _note(one.folder, name)


def names(task: Task) -> tuple[str, ...]:
    """The views that show such a task: a list of trials that nobody proposed is no study of Optuna's."""
    return (OPTUNA, MLFLOW) if task.stage == "search" else (MLFLOW,)


def owed(project: Project, name: str) -> list[tuple[Recorded, str]]:
    """The records, each with a view of which nobody has seen that it has all; one that is empty owes none."""
    return [
        (one, view)
        for one in readable(project, name)
        if one.outcomes or one.done
        for view in names(one.task)
        if not _mark(one.folder, view).exists()
    ]


def deliver_owed(context: Context) -> None:
    """Make the views that may lack something, once each; a store that is away is asked once."""
    away: set[str] = set()
    for one, view in owed(context.project, context.study.name):
        if view not in away and deliver(context, one, view):
            away.add(view)


def deliver(context: Context, one: Recorded, view: str) -> str:
    """Make a view show what is recorded and nothing else; repeated, it changes nothing. Why not, or empty."""
    live = _live(context, one, view, _silent)
    for _, outcome in sorted(one.outcomes.items()):
        live.put(outcome)
    if live.close(DONE if one.done else INTERRUPTED):
        _note(one.folder, view)
    return live.failure


def stage_facts(context: Context, stage: str, arm: str, key: str, tables: Mapping[str, Any]) -> StageFacts:
    """What MLflow is told of a stage."""
    return StageFacts(
        study=context.study.name,
        stage=stage,
        key=key,
        arm=arm,
        study_text=context.study.text,
        data_card=context.card,
        # In one form, whether they come from the study or were read back from a record: no param may change.
        settings={name: json.dumps(value, sort_keys=True) for name, value in tables.items()},
        environment=context.environment,
    )


def storage_name(study: str, one: Recorded) -> str:
    """What an arm's study in the Optuna storage is called."""
    # Optuna freezes the choices of a study, so each space and seed has a study of its own there.
    return f"{study}-{one.task.arm}-{digest([one.facts['study'], one.facts['data']])[:8]}"


def described(one: Recorded, facts: StageFacts, outcome: Outcome) -> Entry:
    """What the run of an outcome says."""
    return entry_of(outcome, facts, one.task.name_of(outcome.trial.number), one.task.prefix)


def _live(context: Context, one: Recorded, view: str, say: Callable[[str], None]) -> Live:
    project = context.project
    if view == OPTUNA:
        return Live("The Optuna storage", project.optuna_url, partial(_optuna, context, one), say)
    return Live("MLflow", project.tracking_uri, partial(_mlflow, context, one), say)


def _optuna(context: Context, one: Recorded) -> View:
    from pipeline.tracking.optuna_view import OptunaView

    name = storage_name(context.study.name, one)
    return OptunaView(context.project.optuna_url, name, one.facts["study"], one.outcomes)


def _mlflow(context: Context, one: Recorded) -> View:
    from pipeline.tracking.mlflow_view import MlflowView

    task, context = one.task, _as_it_was(context, one)
    facts = stage_facts(context, task.stage, task.arm, one.key, task.tables)
    return MlflowView(
        context.project.tracking_uri,
        context.project.artifacts,
        facts,
        partial(described, one, facts),
        map(task.name_of, one.outcomes),
    )


def _as_it_was(context: Context, one: Recorded) -> Context:
    """The context with the record's own study file; today's data and commit only if they are the record's."""
    now = fingerprint.key(fingerprint.facts(one.task.tables, context.card["sha256"]))
    if (now, context.study.text) == (one.key, one.study_text):
        return context
    context = replace(context, study=replace(context.study, text=one.study_text))
    known = {name: value for part in KNOWN for name, value in one.facts[part].items()}
    about = {name: value for name, value in known.items() if name in context.environment}
    return replace(context, card={"sha256": one.facts["data"]}, environment=about)


def _mark(folder: Path, view: str) -> Path:
    """Lies beside a record while the view is known to have all of it."""
    return folder / f"delivered-{view}"


def _note(folder: Path, view: str) -> None:
    # On a full disk it is only looked at once more.
    with suppress(OSError):
        _mark(folder, view).touch()


def _silent(text: str) -> None:
    """Nobody is told: who asks for the delivery says what became of it."""
