"""What dead processes, full disks and hands have left behind: said by doctor, mended by repair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from pipeline.errors import PipelineError, StoreError, StudyError, printable
from pipeline.files import holder_of, write_json
from pipeline.records import recorded
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.records.recorded import DONE, Recorded, Task
from pipeline.stages import leftovers, results, views
from pipeline.stages.context import context_of, held_alone
from pipeline.stages.current import Looked, facts_of
from pipeline.stages.leftovers import Finding, from_error, listed
from pipeline.tracking import mlflow_view, registry
from pipeline.tracking.entry import StageFacts
from pipeline.tracking.store import answering

Check = Callable[[], Iterable[Finding]]
AGAIN = "it is made again from the record"


def doctor(project: Project, name: str | None) -> Iterator[str]:
    """Say in a sentence each what is wrong with a study, or with all. Nothing is written.

    Raises:
        StudyError: there is no study of this name.
        StoreError: after all lines, if there is something to be mended.
    """
    return _gone_through(project, name, is_mended=False)


def repair(project: Project, name: str | None) -> Iterator[str]:
    """Mend what can be mended: the views and results are made again from the ledgers; a line for each.

    A study that a living process runs is let alone.

    Raises:
        StudyError: there is no study of this name.
        StoreError: after all lines, if something is left that a person has to mend.
    """
    return _gone_through(project, name, is_mended=True)


def _gone_through(project: Project, name: str | None, is_mended: bool) -> Iterator[str]:
    if name is not None and not (project.folder(name) / "study.toml").exists():
        project.study(name)
    names = [name] if name else sorted(path.parent.name for path in project.root.glob("studies/*/study.toml"))
    left: list[Finding] = []
    shared = [partial(leftovers.of_dvc, project), partial(leftovers.half_written, project)]
    yield from _or_nothing("project", _lines(shared, is_mended, left))
    for each in names:
        yield from _or_nothing(each, _of_study(Looked(project, each), is_mended, left))
    if left:
        can_mend = any(finding.mend for finding in left) and not is_mended
        advice = "Run: study repair" if can_mend else "Do what the lines above say."
        where = "study repair" if is_mended else "study doctor"
        raise StoreError.of("nothing must be left to be mended.", f"{len(left)} findings", advice, where)


def _or_nothing(name: str, lines: Iterable[str]) -> Iterator[str]:
    said = iter(lines)
    yield f"{name}: {next(said, 'nothing found.')}"
    yield from (f"{name}: {line}" for line in said)


def _of_study(one: Looked, is_mended: bool, left: list[Finding]) -> Iterator[str]:
    always = [partial(check, one) for check in ALWAYS]
    at_rest = [partial(check, one) for check in AT_REST] if one.study else []
    found: list[Finding] = []
    lock = one.project.lock(one.name)
    lines = [] if holder_of(lock) else list(_lines([*always, *at_rest], False, found))
    # What a search that has begun in the meantime writes is not wrong, only not yet everywhere.
    if holder := holder_of(lock):
        yield f"is held by {holder}, so nothing is mended and its views are not compared."
        yield from _lines(always, False, left)
    elif is_mended and any(finding.mend for finding in found):
        with held_alone(one.project, one.name):
            yield from _lines([*always, *at_rest], True, left)
    else:
        left += found
        yield from lines


def _lines(checks: Iterable[Check], is_mended: bool, left: list[Finding]) -> Iterator[str]:
    """A line for each finding; what is not mended is left."""
    for finding in (finding for check in checks for finding in check()):
        cure, is_left = finding.cure, True
        if finding.mend is not None and is_mended:
            try:
                finding.mend()
                cure, is_left = f"Mended: {cure}.", False
            except PipelineError as error:
                cure = f"Not mended: {' '.join(str(error).split())}"
        elif finding.mend is not None:
            cure = f"To be mended: {cure}."
        left += [finding] if is_left else []
        yield printable(f"{finding.what} {cure}")


def _study_file(one: Looked) -> Iterator[Finding]:
    """Every problem of the study file."""
    try:
        one.project.study(one.name)
    except StudyError as error:
        yield from from_error(error)


def _half_written(one: Looked) -> Iterator[Finding]:
    """What killed processes have left half-written of the study."""
    return leftovers.half_written(one.project, one.name)


def _damaged(one: Looked) -> Iterator[Finding]:
    """Records that cannot be read: all but their outcomes can be known from what the study is now."""
    for folder in recorded.folders(one.project, one.name):
        try:
            recorded.read(folder)
        except StoreError as error:
            path = Path(error.problems[0].where)
            task = one.in_use().get(folder.name) if path.name != recorded.LEDGER else None
            if path.name == DONE:
                cure = "it is removed; the stage finds its end again without training"
                mend: Callable[[], object] = partial(path.unlink, missing_ok=True)
            elif task is not None:
                cure, mend = "it is written again", partial(_write_again, one, folder, task)
            else:
                yield from from_error(error)
                continue
            shown = folder.relative_to(one.project.root)
            yield Finding(f"{shown}/{path.name} is missing or damaged.", cure, mend)


def _write_again(one: Looked, folder: Path, task: Task) -> None:
    write_json(folder / recorded.FACTS, facts_of(task, one.card or {}))
    write_json(folder / recorded.TASK, task.as_dict())


def _half_a_line(one: Looked) -> Iterator[Finding]:
    """Records whose last line was cut short."""
    for record in one.records:
        if record.num_torn_bytes > 0:
            path = record.folder / recorded.LEDGER
            shown, num_bytes = path.relative_to(one.project.root), record.num_torn_bytes
            sentence = f"{shown} ends with half a line, {num_bytes:,} bytes in which no outcome is."
            yield Finding(sentence, "it is cut off", Ledger(path).trim)


def _optuna(one: Looked) -> Iterator[Finding]:
    """Searches that are not in Optuna's storage as they are recorded."""
    from pipeline.tracking import optuna_view

    url = one.project.optuna_url
    try:
        with answering("the Optuna storage", url):
            there = optuna_view.studies(url)
    except StoreError as error:
        yield from from_error(error)
        return
    records = {
        views.storage_name(one.name, each): each for each in one.records if each.task.stage == "search"
    }
    for name, record in records.items():
        metric = optuna_view.metric_of(record.facts["study"])
        numbers = optuna_view.differing(there.get(name, []), record.outcomes, metric)
        if numbers:
            what = f"Optuna: {record.title}: not as recorded: trial {listed(numbers)}."
            yield Finding(what, AGAIN, partial(_deliver, one, record, views.OPTUNA))


def _mlflow(one: Looked) -> Iterator[Finding]:
    """Stages whose runs are not in MLflow as they are recorded, and a champion that is not as it was."""
    uri, records = one.project.tracking_uri, one.records
    try:
        runs = mlflow_view.see_runs(uri, one.name)
    except StoreError as error:
        yield from from_error(error)
        return
    for record in records:
        facts = StageFacts(study="", stage=record.task.stage, key=record.key, arm=record.task.arm)
        entries = [views.described(record, facts, outcome) for _, outcome in sorted(record.outcomes.items())]
        if names := mlflow_view.differing(runs, facts, entries):
            what = f"MLflow: {record.title}: not as recorded: {listed(names)}."
            yield Finding(what, AGAIN, partial(_deliver, one, record, views.MLFLOW))
    yield from _champion(one)


def _deliver(one: Looked, record: Recorded, view: str) -> None:
    study, card = one.study, one.card or {"sha256": record.facts["data"]}
    if study is not None:
        with context_of(one.project, study, card) as context:
            if failure := views.deliver(context, record, view):
                raise StoreError.of("the view must take what is recorded.", failure, "Run again.", view)


def _champion(one: Looked) -> Iterator[Finding]:
    """A model in use whose file is not the one that was registered."""
    try:
        found = registry.champion_sha256(one.project.tracking_uri, one.name)
    except StoreError as error:
        for finding in from_error(error):
            yield replace(finding, what=f"the champion's file cannot be read. {finding.what}")
        return
    if found and found[0].tags["model_sha256"] != found[1]:
        yield Finding(
            f"the file of the champion, version {found[0].version}, is not the one that was registered: "
            f"its SHA-256 is {found[1]}, not {found[0].tags['model_sha256']}.",
            "Do not use it. Restore the file from a copy; or delete that version in the registry, then run: "
            f"dvc repro --force confirm@{one.name}",
        )


def _results(one: Looked) -> Iterator[Finding]:
    """Result files that are not what their stages would write from the records."""
    study = one.study
    if study is not None:
        current = one.in_use()
        yield from results.check(
            one.project, study, [each for each in one.records if each.folder.name in current]
        )


# The first hold also while a living process runs the study. Each sees what the ones before it have mended.
ALWAYS = (_study_file, _half_written, _damaged)
AT_REST = (_half_a_line, _optuna, _mlflow, _results)
