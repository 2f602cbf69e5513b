"""A list of trials or a search, run from its record to its last outcome: what all training stages share."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import workers
from pipeline.data import load_card
from pipeline.errors import ModelError, StudyError
from pipeline.files import digest, held, write_json, write_text
from pipeline.files import quiet as quiet
from pipeline.records import fingerprint, recorded
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.records.recorded import FACTS, LEDGER, STUDY, TASK, Recorded, Task
from pipeline.search import Engine, Loop, Rules
from pipeline.stages import failures, views
from pipeline.stages.progress import Progress
from pipeline.study import DataShape, Study
from pipeline.tracking.entry import environment
from pipeline.tracking.live import Live
from pipeline.tracking.store import check_addresses
from pipeline.training import machine, program_name, unused_accelerators
from pipeline.trial import Outcome, Trial
from pipeline.workers import Pool, VirtualTrainer, WorkerPool


@dataclass(frozen=True)
class Context:
    """Everything that a training stage of one study works with.

    Attributes:
        card: the data card.
        environment: code, packages and machine, for the record.
    """

    project: Project
    study: Study
    card: Mapping[str, Any]
    environment: Mapping[str, str]
    progress: Progress

    def rules(self, parallel: int, patience: int | None = None) -> Rules:
        """What the loop needs to know of the study."""
        objective = self.study.objective
        return Rules(objective.metric, objective.is_maximized, parallel, patience, objective.at)

    def cost(self, trial: Trial) -> int:
        """What one epoch of a trial costs."""
        return self.study.learner.cost(trial.configuration, DataShape.of(self.card))


@dataclass(frozen=True)
class Result:
    """Outcomes by number, the folder that holds their record, and the key of what they depend on."""

    outcomes: list[Outcome]
    folder: Path
    key: str


@contextmanager
def open_context(project: Project, name: str) -> Iterator[Context]:
    """Hold the study alone while it trains.

    Raises:
        StudyError: the study file has problems, or an environment variable.
        DataError: the data are not prepared.
        StoreError: another process runs this study, or its results could not be kept.
    """
    study = project.study(name)
    project.refuse_read_only(name)
    check_addresses(project.tracking_uri, project.optuna_url)
    # What is asked for and cannot be is told now, not when a search has begun its record.
    workers.check()
    card = load_card(project.made(name, project.data(name), "prepare"))
    with held_alone(project, name), context_of(project, study, card) as context:
        if unused := unused_accelerators():
            context.progress.say(unused)
        examine(study, card)
        yield context


def examine(study: Study, card: Mapping[str, Any]) -> list[str]:
    """What trying the study's learner on its data shows, in lines, before anything is trained.

    Raises:
        StudyError: it cannot be trained as the study file says.
    """
    try:
        shape = DataShape.of(card)
        _check_train_images(study, shape.num_train)
        return list(study.learner.examine(study, shape))
    except ModelError:
        # Its place is in its traceback.
        raise
    except StudyError as error:
        raise error.at(f"studies/{study.name}/study.toml") from error


def _check_train_images(study: Study, num_train: int) -> None:
    """Raise a StudyError where a trial may ask for more of train than there is."""
    tables = (study.baseline.configuration, *(arm.fixed for arm in study.arms))
    asked = [int(table.get("train_images", 0)) for table in tables]
    asked += [int(end) for one in study.space if one.name == "train_images" for end in one.values.ends]
    if max(asked) > num_train:
        must, advice = f"must be {num_train:,} at most: train has no more.", "Lower it."
        raise StudyError.of(must, f"{max(asked):,}", advice, "train_images")


def held_alone(project: Project, name: str) -> AbstractContextManager[None]:
    """Hold the study alone.

    Raises:
        StoreError: another process runs it.
    """
    return held(project.lock(name), f"the study {name}")


@contextmanager
def context_of(project: Project, study: Study, card: Mapping[str, Any]) -> Iterator[Context]:
    """A context for a study that is held already."""
    objective = study.objective
    about = {**environment(project.root), **machine(), "trainer": program_name(study.trainer)}
    with Progress(objective.metric, objective.is_maximized) as progress:
        yield Context(project, study, card, about, progress)


def run(
    context: Context,
    task: Task,
    engine: Engine,
    rules: Rules,
    pool: WorkerPool | None = None,
) -> Result:
    """Run the task to its end: what is recorded is played, the rest is trained and recorded.

    Args:
        pool: who trains, where other tasks share it; else the task has a pool of its own.
    """
    facts = fingerprint.facts(task.tables, context.card["sha256"])
    key = fingerprint.key(facts)
    folder = context.project.work(context.study.name) / task.folder_name(key)
    ledger = Ledger(folder / LEDGER)
    known, is_baseline = dict(ledger.outcomes), task.stage == "baseline"
    if is_baseline:
        # Earlier versions recorded failures too, which may be mended by now.
        known = {number: outcome for number, outcome in known.items() if outcome.state != "failed"}
    write_json(folder / FACTS, facts)
    write_json(folder / TASK, task.as_dict())
    write_text(folder / STUDY, context.study.text)
    context.progress.say(recorded.sentence(task.stage, task.arm, folder, facts, len(known), task.num_trials))
    context.progress.begin(" ".join(filter(None, (task.stage, task.arm))), task.num_trials)
    watch = _Watch(task, ledger, known, context.progress)
    limit = 1 if task.repeats else min(failures.MOST, task.num_trials)
    with (
        nullcontext(pool) if pool else open_pool(context, task, folder) as trainers,
        views.shown(context, Recorded(folder, task, facts, known, context.study.text, {})) as shown,
    ):
        watch.views = shown
        is_new = not known and not task.repeats
        keeper = failures.Failures(watch.keep, limit, str(trainers.log_folder), is_new, is_baseline)
        trainer = VirtualTrainer(trainers, context.cost, known, str(ledger.path))
        loop = Loop(
            watch.asking(engine), trainer, rules, keeper.keep, context.progress.epoch, watch.is_time_up
        )
        outcomes = loop.run()
        keeper.flush()
    numbers = [outcome.trial.number for outcome in outcomes]
    recorded.finish(folder, task.num_trials, numbers, watch.elapsed())
    return Result(sorted(outcomes, key=lambda outcome: outcome.trial.number), folder, key)


class _Watch:
    """Stands between the loop and those who record: the ledger first, then its views."""

    def __init__(self, task: Task, ledger: Ledger, known: Mapping[int, Outcome], progress: Progress) -> None:
        self._task, self._ledger, self._recorded = task, ledger, known
        self._progress = progress
        self._began = time.monotonic()
        self._before = max(ledger.elapsed_seconds, recorded.elapsed_seconds(ledger.path.parent))
        self.views: Sequence[Live] = ()

    def keep(self, outcome: Outcome) -> None:
        """Record an outcome, safest place first."""
        known = self._recorded.get(outcome.trial.number)
        if known and known.state == outcome.state and known.curve == outcome.curve:
            # What an earlier run measured stands, its seconds too.
            outcome = known
        self._ledger.append(outcome, self.elapsed())
        for view in self.views:
            view.put(outcome)
        self._progress.ended(outcome)

    def is_time_up(self, num_outcomes: int) -> bool:
        """Whether the budget of minutes is spent; what is recorded has been paid for already."""
        if self._task.minutes is None or num_outcomes < len(self._recorded):
            return False
        return self.elapsed() >= 60 * self._task.minutes

    def asking(self, engine: Engine) -> Engine:
        """The engine, its asks seen by the views."""
        return _Seen(engine, self.views)

    def elapsed(self) -> float:
        """Seconds that this search has taken, over all its runs."""
        return self._before + time.monotonic() - self._began


class _Seen:
    """An engine whose asks the views hear of."""

    def __init__(self, engine: Engine, views: Sequence[Live]) -> None:
        self._engine, self._views = engine, views
        self.report, self.tell = engine.report, engine.tell

    def ask(self) -> Trial | None:
        trial = self._engine.ask()
        if trial is not None:
            for view in self._views:
                view.begin(trial)
        return trial


def open_pool(context: Context, task: Task, folder: Path) -> Pool:
    """The processes that train the task's trials; their logs go to `folder`."""
    weights = folder / "weights"
    if task.keeps_weights:
        weights.mkdir(parents=True, exist_ok=True)
    objective = context.study.objective
    settings = {
        "learner": context.study.learner.as_settings(),
        "score": [objective.metric, objective.is_maximized, objective.at],
        "data_folder": str(context.project.data(context.study.name)),
        "data_sha256": context.card["sha256"],
        "num_classes": context.card["num_classes"],
        "seed": context.study.seed,
        "threads": int(context.environment["threads"]),
        "trainer": context.environment["trainer"],
        "weights_folder": str(weights) if task.keeps_weights else None,
        # Code that was compiled for one machine may not run on another that shares the folder.
        "compiled_folder": str(context.project.compiled / digest(machine())[:16]),
    }
    minutes = context.study.search.trial_minutes
    parallel, cost = max(arm.search.parallel for arm in context.study.arms), _total_cost(context, task)
    return workers.open_pool(settings, task.num_trials, parallel, cost, folder, minutes)


def _total_cost(context: Context, task: Task) -> int:
    """About what the task's trials cost, were all of them like the baseline; in multiply-adds."""
    plain = context.study.baseline.configuration
    epochs = max(int(plain["epochs"]), int(context.study.fixed.get("epochs", 0)))
    return task.num_trials * epochs * context.study.learner.cost(plain, DataShape.of(context.card))
