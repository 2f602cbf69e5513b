"""new, status, best: what a person asks of a project between stages."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline.errors import StoreError
from pipeline.files import write_text
from pipeline.ledger import Ledger
from pipeline.stages.progress import in_words
from pipeline.stages.project import Project
from pipeline.study.template import template
from pipeline.trial import Outcome
from pipeline.workers import places

FILES = {
    "check": "plan.json",
    "baseline": "baseline.csv",
    "search": "trials.csv",
    "confirm": "confirm.csv",
    "report": "report.md",
}
STAGES = ("check", "prepare", "baseline", "search", "confirm", "report")
NUM_BEST = 5
FEWEST_IN_FLIGHT, MOST_IN_FLIGHT = 2, 8


def new(project: Project, name: str) -> Iterator[str]:
    """Write a study file that can be run as it is, and list it for `dvc repro`."""
    path = project.folder(name) / "study.toml"
    if path.exists():
        raise StoreError.of(
            "must not be there yet.", "a study of this name", "Choose another name.", str(path)
        )
    listing = project.root / "params.yaml"
    listed = _listed(listing, name) if listing.is_file() else ""
    write_text(path, template(name, num_in_flight()))
    yield f"Wrote studies/{name}/study.toml: edit it, then run: study check {name}"
    if listed:
        write_text(listing, listed)
        yield f"Listed {name} in params.yaml: dvc repro report@{name} runs it."


def num_in_flight() -> int:
    """How many trials a new study has in flight: as many as train here side by side, within reason.

    More would only make each of them slower, and the first results later. Fewer than two are no use to a
    larger machine; with more than eight many trials are asked for before anything is learned from one.

    Raises:
        StudyError: STUDY_WORKERS is no whole number from 1 to 256.
    """
    return max(FEWEST_IN_FLIGHT, len(places(MOST_IN_FLIGHT)))


def status(project: Project, name: str | None) -> Iterator[str]:
    """A line for each study: its stages done, its trials recorded."""
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


def _listed(path: Path, name: str) -> str:
    """The text of params.yaml with a study added, its comments kept.

    Raises:
        StoreError: it holds no list of studies.
    """
    # The round-trip kind keeps comments and builds plain values only.
    reader = YAML(typ="rt")
    reader.indent(sequence=4, offset=2)
    try:
        listed = reader.load(path)
        if name not in listed["studies"]:
            listed["studies"].append(name)
    except (YAMLError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        advice = "Write a line `studies:`, and below it a line `  - NAME` for each study."
        raise StoreError.of("must hold a list of studies.", error, advice, str(path)) from error
    text = io.StringIO()
    reader.dump(listed, text)
    return text.getvalue()
