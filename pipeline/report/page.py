"""report.html: the study as one page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from html import escape
from pathlib import Path

import pandas as pd
from plotly.offline import get_plotlyjs

from pipeline.report import canvas, influence, mistakes, progress, sentences, tables, wording
from pipeline.report.canvas import Picture
from pipeline.report.findings import Findings

HERE = Path(__file__).parent
LONG = 40


def html(findings: Findings) -> str:
    """The report as a page: answer, tables, pictures; the same bytes for the same findings."""
    pictures = [
        progress.history(findings),
        progress.curves(findings),
        influence.importance(findings),
        influence.parallel(findings),
        mistakes.confusion(findings),
    ]
    scripts = (get_plotlyjs(), (HERE / "page.js").read_text(encoding="utf-8"))
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            _head(findings, scripts),
            "<body>",
            _top(findings),
            _search(findings, pictures[:4]),
            _test(findings, pictures[4]),
            _method(findings),
            f'<script type="application/json" id="figures">{_data(pictures)}</script>',
            *(f"<script>{script}</script>" for script in scripts),
            "</body>",
            "</html>\n",
        ]
    )


def _head(findings: Findings, scripts: Iterable[str]) -> str:
    # The policy lets run the page's own two scripts and nothing else, and lets nothing be fetched, so that a
    # name that slipped through the escaping would still be inert. Parallel coordinates compile their shaders'
    # bindings at run time, which browsers count as eval.
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    scripting = f"script-src 'unsafe-eval' {allowed}"
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; {scripting}"
    return (
        '<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_plain(findings.study.name)}</title>\n"
        f"<style>{(HERE / 'page.css').read_text(encoding='utf-8')}</style>\n</head>"
    )


def _top(findings: Findings) -> str:
    first, *others = sentences.answers(findings)
    return _joined(
        f'<p class="study">Study {_plain(findings.study.name)}</p>',
        f'<p class="question">{_plain(findings.study.question)}</p>',
        f"<h1>{_plain(first)}</h1>",
        *(f'<p class="second">{_plain(other)}</p>' for other in others),
        _paragraphs(sentences.champion(findings.evidence)),
        _table(tables.arms(findings)),
        "<h2>Baseline and winner</h2>",
        _table(tables.versus(findings)),
        _paragraphs(sentences.mcnemar(findings.evidence), sentences.optimism(findings)),
        _table(tables.settings(findings)),
    )


def _search(findings: Findings, pictures: Iterable[Picture]) -> str:
    return _joined(
        "<h2>The search</h2>",
        _paragraphs(*sentences.failures(findings)),
        *(_picture(picture) for picture in pictures),
        "<h3>What was confirmed on fresh seeds</h3>",
        _table(tables.candidates(findings)),
    )


def _test(findings: Findings, confusion: Picture) -> str:
    images = mistakes.misclassified(findings)
    number = len(findings.misclassified_images)
    caption = f"{number} of the test images that the winner's model of the first seed gets wrong."
    return _joined(
        "<h2>The test split</h2>",
        _picture(confusion),
        "<h3>Images that the winner gets wrong: true class &rarr; predicted class</h3>",
        f'<p class="caption">{caption if number else "None to show."}</p>',
        f'<div class="images">{images}</div>' if images else "",
        "<h3>Class by class</h3>",
        _table(tables.classes(findings)),
        _paragraphs(*tables.left_out(findings)),
    )


def _method(findings: Findings) -> str:
    items = "\n".join(f"<li>{_plain(sentence)}</li>" for sentence in sentences.method(findings))
    return _joined(
        "<h2>The data</h2>",
        _table(tables.splits(findings.card)),
        _paragraphs(*sentences.data(findings)),
        "<h2>How it was done</h2>",
        f"<ul>\n{items}\n</ul>",
    )


def _picture(picture: Picture) -> str:
    shown = ""
    if picture.figure is not None:
        style = f' style="min-width: {picture.least}px; max-width: {picture.most}px"'
        name = f'role="img" aria-label="{_plain(picture.title)}"'
        shown = f'<div class="scroll"><div id="{picture.key}" {name}{style}></div></div>'
    return _joined(
        f"<h3>{_plain(picture.title)}</h3>", f'<p class="caption">{_plain(picture.caption)}</p>', shown
    )


def _table(frame: pd.DataFrame) -> str:
    """A table that scrolls sideways where the screen is narrow; nothing for a frame without rows."""
    if frame.empty:
        return ""
    styles = [' class="long"' if frame[name].str.len().max() > LONG else "" for name in frame.columns]
    head = _row("th", list(frame.columns), styles)
    body = "\n".join(_row("td", row, styles) for row in frame.to_numpy().tolist())
    table = f"<table>\n<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return f'<div class="scroll">{table}</div>'


def _row(tag: str, cells: list[str], styles: list[str]) -> str:
    pairs = zip(cells, styles, strict=True)
    return f"<tr>{''.join(f'<{tag}{style}>{_cell(cell)}</{tag}>' for cell, style in pairs)}</tr>"


def _cell(plain: str) -> str:
    # An interval stays in one piece where a narrow screen breaks the line.
    return _plain(plain).replace(" to ", "&nbsp;to&nbsp;")


def _paragraphs(*plain: str) -> str:
    return _joined(*(f"<p>{_plain(sentence)}</p>" for sentence in plain))


def _data(pictures: Iterable[Picture]) -> str:
    """The figures as JSON that no HTML parser takes for the end of its script."""
    shown = {
        picture.key: canvas.as_json(picture.figure) for picture in pictures if picture.figure is not None
    }
    text = json.dumps(shown, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _joined(*parts: str) -> str:
    return "\n".join(part for part in parts if part)


def _plain(text: str) -> str:
    return escape(wording.printable(text)).replace(" %", "&nbsp;%")
