"""report.md: the study on one page of text, small enough for git."""

from __future__ import annotations

import re

import pandas as pd

from pipeline.report import sentences, tables, wording
from pipeline.report.findings import Findings

# What could begin a link, markup, a table cell or a heading; an underscore within a word is harmless.
SPECIAL = re.compile(r"[\\`*\[\]{}|~#$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")


def markdown(findings: Findings) -> str:
    """The report as text of less than 120 lines, however large the study is."""
    evidence = findings.evidence
    blocks = [
        f"# {_escaped(findings.study.name)}",
        f"**Question.** {_escaped(findings.study.question)}",
        f"**Answer.** {_escaped(sentences.answer(findings))}",
        "## Baseline and winner",
        _table(tables.versus(findings)),
        *_paragraphs(sentences.mcnemar(evidence), sentences.optimism(findings), sentences.champion(evidence)),
        _table(tables.settings(findings)),
        "## Search",
        _table(tables.arms(findings)),
        *_paragraphs(*sentences.failures(findings)),
        _table(tables.candidates(findings)),
        "## Classes",
        _table(tables.classes(findings)),
        *_paragraphs(*tables.left_out(findings)),
        "## Data",
        _table(tables.splits(findings.card)),
        *_paragraphs(*sentences.data(findings)),
        "## How it was done",
        "\n".join(f"- {_escaped(sentence)}" for sentence in sentences.method(findings)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _paragraphs(*plain: str) -> list[str]:
    return [_escaped(sentence) for sentence in plain]


def _table(frame: pd.DataFrame) -> str:
    """A pipe table, numbers to the right; nothing for a frame without rows."""
    if frame.empty:
        return ""
    rows = [list(frame.columns), *frame.to_numpy().tolist()]
    lines = ["| " + " | ".join(_escaped(str(cell)) for cell in row) + " |" for row in rows]
    lines.insert(1, "| --- |" + " ---: |" * (len(frame.columns) - 1))
    return "\n".join(lines)


def _escaped(plain: str) -> str:
    """Text that no Markdown reader takes for markup, HTML or a link."""
    safe = wording.printable(plain).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\g<0>", safe).replace("://", "&#58;//").replace("www.", "www&#46;")
