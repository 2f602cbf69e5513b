"""Weights of retrained models: those that are needed, made again where they are gone, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pipeline.errors import StoreError
from pipeline.records.recorded import Task
from pipeline.search import Listed, Loop
from pipeline.stages.context import Context, open_pool
from pipeline.study import Learner
from pipeline.trial import Outcome, Trial
from pipeline.workers import VirtualTrainer


def path_of(learner: Learner, folder: Path, trial: Trial) -> Path:
    """Where a stage that works in `folder` keeps the last weights of a trial."""
    return folder / "weights" / f"{trial.number}{learner.weights_suffix(trial.configuration)}"


def restore(context: Context, task: Task, folder: Path, wanted: Sequence[Outcome]) -> None:
    """Train the recorded trials again whose weights are not there.

    Raises:
        StoreError: one of them does not give its recorded numbers.
    """
    learner = context.study.learner
    gone = [one for one in wanted if not path_of(learner, folder, one.trial).is_file()]
    if not gone:
        return
    recorded = {one.trial.number: one for one in gone}
    context.progress.say(f"{task.stage}: trains {len(gone)} trials again, whose weights are not there.")
    context.progress.begin(task.stage, len(gone))

    def compare(outcome: Outcome) -> None:
        known = recorded[outcome.trial.number]
        was, now = ((one.state, one.curve, one.weights_sha256) for one in (known, outcome))
        if was[:2] != now[:2] or (was[2] and was[2] != now[2]):
            raise StoreError.of(
                "a trial that is trained again must give the recorded numbers.",
                f"others for {task.name_of(outcome.trial.number)}",
                "Prepare the data again if they were changed; else remove the folder to confirm anew.",
                str(folder),
            )
        context.progress.ended(outcome)

    try:
        with open_pool(context, task, folder) as pool:
            trainer, engine = VirtualTrainer(pool, context.cost), Listed([one.trial for one in gone])
            rules = context.rules(context.study.search.parallel)
            Loop(engine, trainer, rules, compare, context.progress.epoch).run()
    except StoreError:
        # Those of another training must not lie there for the next confirm to find.
        for one in gone:
            path_of(learner, folder, one.trial).unlink(missing_ok=True)
        raise


def unneeded(learner: Learner, folder: Path, needed: Iterable[Trial]) -> Iterator[Path]:
    """The kept weights of all trials but the `needed` ones."""
    kept = {path_of(learner, folder, trial).name for trial in needed}
    yield from (path for path in sorted(folder.glob("weights/[0-9]*.weights.*")) if path.name not in kept)
