"""report.md, small enough for git, and report.html, one page that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
from PIL import Image
from plotly.offline import get_plotlyjs

from pipeline.report import arms, gains, power, sentences, tables, tuning, width
from pipeline.report.figures import FIGURES
from pipeline.report.findings import Findings
from pipeline.report.tables import printable, shorten

# What could begin a link, markup, a table cell or a heading; an underscore within a word is harmless.
SPECIAL = re.compile(r"[\\`*\[\]{}|~#$@]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
LARGEST_SIDE = 160
COLORS = (3, 4)


def markdown(findings: Findings) -> str:
    """The report as text of less than 140 lines, however large the study is."""
    conclusion = findings.conclusion
    blocks = [
        f"# {_escaped(findings.study.name)}",
        f"**Question.** {_escaped(findings.study.question)}",
        f"**Answer.** {_escaped(sentences.answer(findings))}",
        "## Baseline and winner",
        _table(tables.versus(findings)),
        *map(_escaped, power.resolved(findings)),
        _escaped(gains.mcnemar(findings)),
        _escaped(gains.optimism(findings)),
        _escaped(gains.registered(findings)),
        _escaped(sentences.champion(conclusion)),
        _table(tables.settings(findings)),
        "## Search",
        _table(arms.table(findings)),
        *map(_escaped, arms.could(findings)),
        *map(_escaped, sentences.failures(findings)),
        *map(_escaped, gains.budget(findings)),
        _table(tables.candidates(findings)),
        *map(_escaped, [*tuning.sentences(findings), width.width(findings)]),
        "## Classes",
        _table(tables.classes(findings)),
        *map(_escaped, tables.left_out(findings)),
        "## Data",
        _table(tables.splits(findings)),
        *map(_escaped, sentences.data(findings)),
        "## How it was done",
        "\n".join(f"- {_escaped(sentence)}" for sentence in sentences.method(findings)),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def html(findings: Findings) -> str:
    """The report as a page: answer, tables, figures; the same bytes for the same findings."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipeline.report", ""),
        autoescape=True,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["sha256"] = _sha256
    figures = [one for draw in FIGURES if (one := draw(findings)) is not None]
    drawn = {one.key: json.loads(one.drawn.to_json()) for one in figures if one.drawn is not None}
    names = [shorten(name) for name in findings.classes]
    return environment.get_template("page.html.j2").render(
        findings=findings,
        arms=arms,
        gains=gains,
        power=power,
        sentences=sentences,
        tables=tables,
        of_search=[*tuning.sentences(findings), width.width(findings)],
        figures=figures,
        drawn=drawn,
        mistakes=[(_png(image), names[true], names[taken]) for image, true, taken in findings.mistakes],
        plotly=get_plotlyjs(),
    )


def _escaped(plain: str) -> str:
    """Text that no Markdown reader takes for markup, HTML or a link."""
    safe = printable(plain).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return SPECIAL.sub(r"\\\g<0>", safe).replace("://", "&#58;//").replace("www.", "www&#46;")


def _table(rows: tables.Table) -> str:
    """A pipe table, numbers to the right; nothing without rows."""
    lines = ["| " + " | ".join(map(_escaped, row)) + " |" for row in rows]
    return "\n".join([*lines[:1], "| --- |" + " ---: |" * (len(rows[0]) - 1), *lines[1:]]) if rows else ""


def _plain(value: Any) -> Any:
    """What the page's template prints; jinja2 escapes it afterwards, unless it is markup already."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return printable(value).replace(" %", "\N{NO-BREAK SPACE}%") if is_text else value


def _sha256(script: str) -> str:
    """The hash by which the page's policy knows a script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _png(image: npt.NDArray[np.uint8]) -> str:
    """(height, width, channels), uint8, 0-255 as a PNG in base64; a large one is made small."""
    pixels = image if image.shape[-1] in COLORS else image[..., 0]
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
