"""report.html: one page that needs nothing but itself, whatever names are in it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from findings import FIXED, made
from test_report_text import HOSTILE

from pipeline.report import answer, html

HERE = Path(__file__).parent


class Reader(HTMLParser):
    """What a browser would find: tags with their attributes, and the text of each script."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._is_script = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_script = tag == "script"
        if self._is_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 (the parser hands it over)
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.scripts[-1] += data


def figures(page: str) -> dict[str, Any]:
    """The figures that the page draws, by id."""
    found: dict[str, Any] = json.loads(Reader(page).scripts[0])
    return found


@pytest.fixture(scope="module")
def page() -> str:
    return html(made())


def test_the_answer_stands_on_top(page: str) -> None:
    """The first and only heading of the first rank is the answer with its interval."""
    [heading] = re.findall("<h1>(.*?)</h1>", page)
    assert answer(made()).startswith(unescape(heading).replace("\xa0", " "))


def test_the_page_loads_nothing_from_outside(page: str) -> None:
    """No tag names an address but inlined images; the style sheet names none at all."""
    reader = Reader(page)
    addresses = [
        a[key] or "" for _, a in reader.tags for key in ("src", "href", "srcset", "data") if key in a
    ]
    assert len(addresses) == 6
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert not {"link", "iframe", "object", "base", "form"} & {tag for tag, _ in reader.tags}
    [style] = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    assert "url(" not in style
    assert "@import" not in style


def test_the_policy_allows_this_page_alone(page: str) -> None:
    """The browser is told to fetch nothing and to run the page's own two scripts by their hashes."""
    reader = Reader(page)
    [policy] = [a["content"] or "" for tag, a in reader.tags if tag == "meta" and "http-equiv" in a]
    assert policy.startswith("default-src 'none'; img-src data: blob:;")
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in reader.scripts[1:]]
    assert re.findall("'sha256-(.*?)'", policy) == hashes
    assert "http" not in policy
    assert "unsafe-eval" not in policy


def test_plotly_is_inlined_once(page: str) -> None:
    """Six figures share one copy of plotly.js."""
    assert page.count("plotly.js v") == 1
    assert list(figures(page)) == ["confusion", "curves", "history", "importance", "slices", "tuning"]


def test_every_figure_has_its_place(page: str) -> None:
    """Each figure finds an element with its fixed id, which says what it shows."""
    places = {a["id"]: a.get("aria-label") for tag, a in Reader(page).tags if tag == "div" and "id" in a}
    assert set(places) == set(figures(page))
    assert all(places.values())


@pytest.fixture(scope="module")
def hostile() -> str:
    findings = made(question=" ".join(HOSTILE), classes=["</script><script>alert(1)</script>", *HOSTILE])
    findings.trials.loc[findings.trials["state"] == "failed", "reason"] = HOSTILE[:2]
    findings.conclusion["champion"]["reason"] = "<!-- </script><b onclick=alert(1)>"
    return html(findings)


def test_hostile_names_are_inert(page: str, hostile: str) -> None:
    """Names with tags, scripts or the end of one add no element and no attribute to the page."""
    found, plain = Reader(hostile), Reader(page)
    assert [tag for tag, _ in found.tags] == [tag for tag, _ in plain.tags]
    assert [set(a) for _, a in found.tags] == [set(a) for _, a in plain.tags]


def test_hostile_names_are_inert_in_figures(hostile: str) -> None:
    """plotly reads a subset of HTML in labels: class names reach it escaped."""
    ticks = figures(hostile)["confusion"]["layout"]["xaxis"]["ticktext"]
    assert ticks[1].startswith("&lt;script&gt;")
    assert not any("<" in tick for tick in ticks)


def test_the_same_findings_give_the_same_bytes(page: str) -> None:
    """No identifier and no date differs between two runs in one process."""
    assert html(made()) == page


def test_the_same_bytes_in_any_process(page: str) -> None:
    """The page does not depend on the hash seed of the process that writes it."""
    code = (
        "import hashlib; from findings import made; from pipeline.report import html; "
        "print(hashlib.sha256(html(made()).encode()).hexdigest())"
    )
    path = os.pathsep.join([str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == hashlib.sha256(page.encode()).hexdigest()


def test_a_csv_file_changes_nothing(page: str) -> None:
    """Findings that went through CSV files, as they do between stages, give the same page."""
    findings = made()

    def reread(frame: pd.DataFrame) -> pd.DataFrame:
        text = io.StringIO(frame.to_csv(index=False))
        return pd.read_csv(text, keep_default_na=False, na_values=[""])

    assert html(replace(findings, trials=reread(findings.trials), curves=reread(findings.curves))) == page


def test_what_is_not_there_is_not_shown() -> None:
    """No arms, no mistakes, few trials, a bare card: sentences instead of figures, no empty table."""
    page = html(replace(made(compare=FIXED, num_trials=5), card={}, mistakes=[]))
    assert page.count('class="second"') == 0
    assert "<img" not in page.split('<script type="application/json"')[0]
    assert "None to show." in page
    assert "Not shown: 4 complete trials cannot tell" in page
    assert list(figures(page)) == ["confusion", "curves", "history", "slices", "tuning"]
    assert page.count("<table>") == 5


@pytest.mark.browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_draws_every_figure(page: str, tmp_path: Path) -> None:
    """Under the page's own policy, Chromium draws all six figures and runs no one else's script."""
    (tmp_path / "report.html").write_text(page)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update", "--virtual-time-budget=4000"]
    folder = f"--user-data-dir={tmp_path / 'browser'}"
    drawn = subprocess.run(
        ["chromium", *flags, folder, "--dump-dom", (tmp_path / "report.html").as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    assert drawn.count('class="js-plotly-plot"') == 5
