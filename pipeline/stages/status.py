"""status, best: what a person asks of a project between stages."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
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
            outcomes = list(Ledger(record).outcomes.values())
            states = [outcome.state for outcome in outcomes]
            counts = ", ".join(f"{states.count(state)} {state}" for state in sorted(set(states)))
            yield f"  {record.parent.name}: {counts or 'nothing recorded'}"


def best(project: Project, name: str) -> Iterator[str]:
    """The best trials of every arm's latest search, read from its record."""
    study = project.study(name)
    sign = -1 if study.objective.is_maximized else 1
    for arm in study.arms:
        folders = [
            path.parent
            for path in project.work(name).glob("search-*/record.jsonl")
            if path.parent.name.rpartition("-")[0] == f"search-{arm.name}"
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
