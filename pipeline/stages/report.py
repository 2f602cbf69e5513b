"""report: metrics.json, report.md and report.html from what the other stages left."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline import report as writing
from pipeline.data import load_card
from pipeline.errors import StoreError
from pipeline.files import read_json, write_json, write_text
from pipeline.records.openings import openings, sentence
from pipeline.records.project import Project
from pipeline.records.rows import plain
from pipeline.space import Choice
from pipeline.stages.context import open_context
from pipeline.stages.freshness import check_conclusion, check_count, check_trials, whole
from pipeline.stages.views import MLFLOW, deliver_owed, owed
from pipeline.study import Study

MADE = {
    "baseline": ["baseline.csv"],
    "search": ["trials.csv", "curves.csv"],
    "confirm": ["confirm.csv", "winner"],
}
PARTS = ("images", "labels", "predicted")


def report(project: Project, name: str) -> str:
    """Write the report's files; the answer in a sentence, and in another how often test was opened here.

    The files do not say that: it differs from one copy of the project to another, and the files must not.

    Raises:
        StudyError: the study file has problems.
        DataError: an earlier stage is missing.
        StoreError: MLflow lacks runs and does not answer; nothing is written.
    """
    findings = _findings(project, name)
    _settle(project, name)
    folder = project.folder(name)
    write_json(folder / "metrics.json", writing.metrics(findings.conclusion))
    write_text(folder / "report.md", writing.markdown(findings))
    write_text(folder / "report.html", writing.html(findings))
    return "\n".join([writing.answer(findings), *filter(None, [sentence(openings(project.openings(name)))])])


def _settle(project: Project, name: str) -> None:
    """See to it that MLflow has every run that the report speaks of."""
    if not owed(project, name):
        return
    with open_context(project, name) as context:
        deliver_owed(context)
    if left := [one for one, view in owed(project, name) if view == MLFLOW]:
        raise StoreError.of(
            "MLflow must have every run before the report is final.",
            f"runs are missing of {', '.join(one.folder.name for one in left)}",
            "Start the tracking server or mend the store, then run again; all results are safe meanwhile.",
            f"studies/{name}/report.md",
        )


def _findings(project: Project, name: str) -> writing.Findings:
    study, folder = project.study(name), project.folder(name)
    card = load_card(project.made(name, project.data(name), "prepare"))
    for stage, files in MADE.items():
        for file in files:
            project.made(name, folder / file, stage)
    conclusion = read_json(folder / "winner" / "conclusion.json", f"Run: study confirm {name}")
    check_trials(folder, name)
    check_conclusion(study, folder, conclusion)
    check_count(folder / "baseline.csv", study.confirm.repeats, "baseline", name)
    check_count(folder / "confirm.csv", conclusion["num_rows"], "confirm", name)
    with whole(folder / "trials.csv", "search", name):
        trials, curves = read_table(study, folder / "trials.csv"), read_table(study, folder / "curves.csv")
    # Of features there is nothing to be seen.
    parts = PARTS if "kind" not in card else ()
    mistakes = [_array(folder / "winner" / f"misclassified_{part}.npy", name) for part in parts]
    return writing.Findings(study, card, trials, curves, conclusion, list(zip(*mistakes, strict=True)))


def read_table(study: Study, path: Path) -> pd.DataFrame:
    """The rows of a CSV file; an arm or a choice stays the text that it is, like 1e-05 or 32."""
    words = {entry.name: str for entry in study.space if isinstance(entry.values, Choice)}
    frame = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"arm": str, **words})
    for column in frame.select_dtypes(["object", "string"]):
        frame[column] = frame[column].map(plain, na_action="ignore")
    return frame


def _array(path: Path, name: str) -> np.ndarray:
    with whole(path, "confirm", name):
        array: np.ndarray = np.load(path, allow_pickle=False)
    return array
