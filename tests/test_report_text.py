"""report.md: the whole study in little text, whatever names are in it."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from findings import FIXED, made
from markdown_it import MarkdownIt

from pipeline.records.rows import write_rows
from pipeline.report import html, markdown
from pipeline.stages.report import read_table
from pipeline.study.tables import Objective

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[a](javascript:alert(1))",
    "![a](https://evil.example/a.png)",
    "| a | b |\n# heading",
    "`code` **bold** _it_ ~~no~~",
    "</td></table><a href='//evil.example'>x</a>",
    "https://evil.example www.evil.example",
    "\u202ekcatta\x00\x1b[31m",
]


def test_the_table_of_arms_counts_trials() -> None:
    """Trials by state, epochs trained, best complete score, confirmed score: one row an arm."""
    findings = made()
    best = findings.complete().groupby("arm")["score"].max()["keras_tuner"]
    row = f"| keras_tuner | 24 | 16 | 7 | 1 | 111 | {100 * best:.2f} % | 98.38 % (98.35 to 98.42) |"
    assert row in markdown(findings)


def test_failures_are_counted_by_reason() -> None:
    """The report says how many trials failed and why, also where no reason was recorded."""
    findings = made()
    findings.trials.loc[findings.trials["state"] == "failed", "reason"] = ["loss is NaN.", np.nan]
    assert "2 trials failed: loss is NaN (1); no reason recorded (1)." in markdown(findings)


def test_trials_that_ran_out_of_time_are_told_apart() -> None:
    """Which trials a limit on time cuts depends on the machine; the report says that some were cut."""
    findings = made()
    reasons = ["took longer than 5 minutes", "loss is NaN."]
    findings.trials.loc[findings.trials["state"] == "failed", "reason"] = reasons
    assert "1 trial ran out of time: a faster machine" in markdown(findings)


def test_no_failure_needs_no_sentence() -> None:
    """A search in which no trial failed says nothing of failures."""
    assert "failed:" not in markdown(made(num_trials=5))


def test_a_search_that_found_nothing_has_no_best_score() -> None:
    """An arm without a complete trial has a dash for its best score."""
    findings = made()
    findings.trials.loc[findings.trials["arm"] == "optuna", "state"] = "pruned"
    assert "| optuna | 24 | 0 | 24 | 0 | 111 | - | " in markdown(findings)


def test_the_method_names_every_limit() -> None:
    """Trials, minutes and patience bound a search; all that were set are told."""
    findings = made(compare=FIXED)
    search = findings.study.search.model_copy(update={"minutes": 30.0, "patience": 12})
    assert (
        "- Search: engine optuna, sampler tpe, pruner median; 24 trials at most, "
        "no new one after 30 minutes, an end after 12 trials without a better score; "
        "4 in flight, 6 epochs each."
    ) in markdown(replace(findings, study=replace(findings.study, search=search)))


def test_compared_models_are_named() -> None:
    """Where models are the arms, the report says which were trained."""
    findings = made()
    study = replace(findings.study, compared={"model": ("mlp", "cnn")})
    assert "- Trained models mlp and cnn on mnist, study seed 20260101" in markdown(
        replace(findings, study=study)
    )


@pytest.mark.parametrize(
    ("granted", "start"), [(True, "The winner is now champion"), (False, "The winner was not made champion")]
)
def test_the_champion_sentence_gives_the_reason(granted: bool, start: str) -> None:
    """Granted or not, the report says why."""
    findings = made()
    findings.conclusion["champion"] = {"granted": granted, "reason": "the intervals say so."}
    assert f"\n{start}: the intervals say so.\n" in markdown(findings)


def test_duplicates_are_told_by_place() -> None:
    """Images that appear twice are counted within and across splits; none is said too."""
    findings = made()
    assert "twice: 5 within train, 3 of test also in train (1 under another label)." in markdown(findings)
    clean = replace(findings, card={**findings.card, "duplicates": {"within": {}, "across": {}}})
    assert "No image appears twice." in markdown(clean)


def test_a_minimized_loss_is_told_as_one() -> None:
    """With a loss as objective the best is the lowest, scores are no percentages, gaps no points."""
    findings = made(objective='minimize = "val_loss"')
    best = findings.complete().groupby("arm")["score"].min()["optuna"]
    text = markdown(findings)
    assert f" | 111 | {best:.4f} | " in text
    assert "sought the lowest validation loss" in text
    assert "+0.0003, 95 % interval" in text


def test_a_metric_of_the_users_own_has_its_name() -> None:
    """What the user's training loop reports is told by its key, in text and in figures."""
    findings = made(compare=FIXED)
    objective = Objective.model_construct(maximize="val_f1_score")
    own = {"val_accuracy": "val_f1_score"}
    findings = replace(
        findings,
        study=replace(findings.study, objective=objective),
        trials=findings.trials.rename(columns=own),
        curves=findings.curves.rename(columns=own),
    )
    assert "| Validation f1 score | 0.9774 (0.9769 to 0.9779) |" in markdown(findings)
    assert "sought the highest validation f1 score." in markdown(findings)
    assert '"text": "Validation f1 score"' in html(findings)


def test_arms_and_choices_stay_the_words_that_they_are(tmp_path: Path) -> None:
    """Between stages a CSV file may make a number of an arm named 1e-05, or show a formula as text."""
    path, study = tmp_path / "trials.csv", made().study
    row = {"arm": "1e-05", "batch_size": 32, "model": None, "reason": "=1+1"}
    write_rows(path, list(row), [row, {**row, "batch_size": None}])
    table = read_table(study, path)
    assert table["arm"].tolist() == ["1e-05"] * 2
    assert table["batch_size"].tolist()[:1] == ["32"]
    assert table["reason"].tolist() == ["=1+1"] * 2


def test_a_bare_card_is_enough() -> None:
    """A data card without counts costs the table of splits and nothing else."""
    assert "## How it was done" in markdown(replace(made(), card={}))


def test_the_text_stays_small() -> None:
    """The largest study still gives fewer than 140 lines, and says what it leaves out."""
    compare = f"[compare]\nepochs = {{ choice = {list(range(1, 33))} }}"
    findings = made(classes=[f"class {index}" for index in range(150)], compare=compare, num_trials=6)
    findings.conclusion["candidates"] *= 60
    text = markdown(findings)
    assert text.count("\n") < 140
    assert "24 more arms in trials.csv." in text
    assert "the 15 with the lowest recall are shown; 135 are not." in text


def test_hostile_names_stay_text_in_markdown() -> None:
    """No question, class, path or reason becomes markup, HTML, a link or a heading in report.md."""
    findings = made(question="\n\n# ".join(HOSTILE), classes=HOSTILE)
    findings.trials.loc[findings.trials["state"] == "failed", "reason"] = HOSTILE[:2]
    findings.conclusion["champion"]["reason"] = " ".join(HOSTILE)
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    plain, page = reader.render(markdown(made())), reader.render(markdown(findings))
    tags = re.compile(r"<(/?[a-z0-9]+)")
    assert set(tags.findall(page)) == set(tags.findall(plain))
    assert page.count("<h1>") == 1
    assert page.count("<strong>") == 2
    assert "://" not in markdown(findings)
    assert "\u202e" not in page


def test_where_models_are_compared_their_sizes_are_told() -> None:
    """What the data decide has no number of weights; elsewhere there are no such columns."""
    findings = made()
    sizes = [{"num_weights": number, "multiply_adds": 5_000_000_000} for number in (101_770, 0)]
    known = findings.conclusion["candidates"]
    sized = [{**one, **sizes[index % 2]} for index, one in enumerate(known)]
    text = markdown(replace(findings, conclusion={**findings.conclusion, "candidates": sized}))
    assert "| 101,770 | 5.0e+09 |" in text
    assert "| - | 5.0e+09 |" in text or len(known) == 1
    assert "Multiply-adds" not in markdown(findings)
