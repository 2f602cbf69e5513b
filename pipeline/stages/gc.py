"""gc: what a study no longer needs on this disk, removed; MLflow's runs are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.data import load_card
from pipeline.errors import StoreError
from pipeline.files import holder_of, read_json, remove_folder
from pipeline.records.fingerprint import difference
from pipeline.records.project import Project
from pipeline.records.recorded import MEND, Task, folders, is_finished, read
from pipeline.stages import leftovers, weights
from pipeline.stages.context import held_alone
from pipeline.stages.current import facts_of, in_use
from pipeline.trial import Trial

# Folders of nothing but workers' logs, by what made them.
LOGS = {"replay": "a replay keeps what it compared elsewhere", "search": "the logs of a search's workers"}


@dataclass(frozen=True)
class Waste:
    """Files that go together, and why nobody needs them."""

    paths: tuple[Path, ...]
    where: str
    why: str
    remove: Callable[[], None]

    @property
    def num_bytes(self) -> int:
        """What they take."""
        files = [inner for path in self.paths for inner in [path, *path.rglob("*")] if inner.is_file()]
        return sum(file.lstat().st_size for file in files)


def gc(project: Project, name: str | None, dry_run: bool) -> Iterator[str]:
    """Remove what the study as it is now, its data, this code and this machine do not use; a line for each.

    Raises:
        StudyError: the study file has problems.
        DataError: the data are not prepared, so that nobody can tell what is in use.
        StoreError: a living process runs the study.
    """
    known = sorted(path.parent.name for path in project.root.glob("studies/*/study.toml"))
    for each in [name] if name else [one for one in known if project.work(one).is_dir()]:
        if holder := holder_of(project.lock(each)):
            raise StoreError.of(
                f"the study {each} must not be running.",
                f"it is held by {holder}",
                "Wait for it, or stop that process.",
                str(project.lock(each)),
            )
        waste = list(_waste(project, each))
        # Where there is nothing to remove, nothing is made either, not even a lock.
        with held_alone(project, each) if waste and not dry_run else nullcontext():
            # Looked at again: a stage may have run until the study was held.
            yield from _removed(each, list(_waste(project, each)) if waste else [], dry_run)


def _removed(name: str, waste: list[Waste], dry_run: bool) -> Iterator[str]:
    total = 0
    for one in waste:
        num_bytes = one.num_bytes
        if not dry_run:
            one.remove()
        total += num_bytes
        yield f"{name}: {one.where}: {num_bytes:,} bytes {'to be ' if dry_run else ''}removed; {one.why}."
    would = "would be" if dry_run else "are"
    yield f"{name}: {total:,} bytes {would} free." if waste else f"{name}: nothing to remove."


def _waste(project: Project, name: str) -> Iterator[Waste]:
    study = project.study(name)
    card = load_card(project.made(name, project.data(name), "prepare"))
    current = in_use(project, study, card)
    # While nobody knows what confirm would run, nobody knows which of its records is in use.
    is_known = any(task.stage == "confirm" for task in current.values())
    for folder in folders(project, name):
        if folder.name in current:
            yield from _within(project, name, folder)
        elif is_known or not folder.name.startswith("confirm-"):
            why = _superseded(folder, current, card["sha256"])
            yield Waste((folder,), _shown(project, folder), why, partial(remove_folder, folder))
    for word, why in LOGS.items():
        logs = project.work(name) / word
        if logs.is_dir():
            yield Waste((logs,), _shown(project, logs), why, partial(remove_folder, logs))
    for one in leftovers.of_study(project, name):
        # The only copy of something is for `study repair`.
        if one.stood is None:
            yield Waste(
                (one.path,), _shown(project, one.path), "left half-written by a dead process", one.clear
            )


def _superseded(folder: Path, current: dict[str, Task], data_sha256: str) -> str:
    """Why a record is not in use, and what removing it costs."""
    loses = "its trials can no longer be replayed"
    try:
        one = read(folder)
    except StoreError:
        return f"it cannot be read; {loses}"
    alike = (task for task in current.values() if (task.stage, task.arm) == (one.task.stage, one.task.arm))
    task = next(alike, None)
    if task is None:
        return f"the study has no such arm any more; {loses}"
    return (
        f"this has changed since: {difference(one.facts, facts_of(task, {'sha256': data_sha256}))}; {loses}"
    )


def _within(project: Project, name: str, folder: Path) -> Iterator[Waste]:
    """What a record that is in use does not need."""
    if not is_finished(folder):
        return
    logs = tuple(sorted(folder.glob("worker-*.log")))
    if logs:
        yield _files(project, folder, logs, "the logs of a finished stage's workers")
    winner = project.folder(name) / "winner" / "conclusion.json"
    if folder.name.startswith("confirm-") and winner.is_file():
        kept = _winners(folder, winner)
        needless = tuple(weights.unneeded(project.study(name).learner, folder, kept)) if kept else ()
        if needless:
            why = "weights of models that did not win; confirm trains again what it misses"
            yield _files(project, folder, needless, why)


def _winners(folder: Path, winner: Path) -> list[Trial]:
    """The winner's repeats; empty where the conclusion is not this record's."""
    try:
        told = read_json(winner, MEND)["winner"]
        outcomes = read(folder).outcomes
        trials = [outcomes[number].trial for number in told["trials"]]
    except (KeyError, TypeError, StoreError):
        return []
    return trials if all(dict(trial.configuration) == told["configuration"] for trial in trials) else []


def _files(project: Project, folder: Path, paths: tuple[Path, ...], why: str) -> Waste:
    def remove() -> None:
        for path in paths:
            path.unlink(missing_ok=True)

    count = "1 file" if len(paths) == 1 else f"{len(paths)} files"
    return Waste(paths, f"{count} in {_shown(project, folder)}", why, remove)


def _shown(project: Project, path: Path) -> str:
    return str(path.relative_to(project.root))
