"""status, best: what a person asks of a project between stages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pipeline.records.ledger import Ledger
from pipeline.records.openings import openings, sentence
from pipeline.records.project import Project
from pipeline.records.recorded import Task
from pipeline.stages.progress import in_words
from pipeline.trial import Outcome

FILES = {
    "check": "plan.json",
    "baseline": "baseline.csv",
    "search": "trials.csv",
    "confirm": "confirm.csv",
    "report": "report.md",
}
STAGES = ("check", "prepare", "baseline", "search", "confirm", "report")
NUM_BEST = 5


def status(project: Project, name: str | None) -> Iterator[str]:
    """A line for each study: its stages done, its trials recorded."""
    if (project.root / "params.yaml").is_file():
        project.listed()
    names = [name] if name else sorted(path.parent.name for path in project.root.glob("studies/*/study.toml"))
    for each in names:
        project.study(each)
        made = {stage: project.folder(each) / file for stage, file in FILES.items()}
        made["prepare"] = project.data(each) / "card.json"
        done = [stage for stage in STAGES if made[stage].is_file()]
        yield f"{each}: {', '.join(done) or 'nothing yet'}"
        for record in sorted(project.work(each).glob("*/record.jsonl")):
            yield f"  {record.parent.name}: {counted(Ledger(record).outcomes.values()) or 'nothing recorded'}"
        yield from opened(project, each)


def counted(outcomes: Iterable[Outcome]) -> str:
    """How many trials ended in each state, in words."""
    counts = Counter(outcome.state for outcome in outcomes)
    return ", ".join(f"{counts[state]} {state}" for state in sorted(counts))


def opened(project: Project, name: str) -> Iterator[str]:
    """How often the test split was opened in this copy of the project; nothing where it never was."""
    if known := openings(project.openings(name)):
        yield f"  {sentence(known)}"


def best(project: Project, name: str) -> Iterator[str]:
    """The best trials of every arm's latest search, read from its record."""
    study = project.study(name)
    sign = -1 if study.objective.is_maximized else 1
    for arm in study.arms:
        known = Task("search", arm.name, {}, arm.search.trials).folder_name("")
        folders = [
            path.parent
            for path in project.work(name).glob("search-*/record.jsonl")
            if path.parent.name.rpartition("-")[0] == known
        ]
        if not folders:
            yield f"{arm.name}: nothing recorded yet. Run: study search {name}"
            continue
        last = max(folders, key=lambda folder: (folder / "record.jsonl").stat().st_mtime)
        outcomes = [one for one in Ledger(last / "record.jsonl").outcomes.values() if one.state == "complete"]
        outcomes.sort(key=lambda one: (sign * float(one.score or 0.0), one.trial.number))
        yield f"{arm.name}: {len(outcomes)} complete trials"
        for one in outcomes[:NUM_BEST]:
            yield f"  {_line(one, study.objective.metric)}"


def _line(outcome: Outcome, metric: str) -> str:
    return f"trial {outcome.trial.number}: {metric} {outcome.score:.4f}  {in_words(outcome.trial.values)}"
