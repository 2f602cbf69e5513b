"""Results turned into sentences and pictures.

from pipeline.report import Findings, answer, html, markdown, metrics
"""

from pipeline.report.findings import Findings
from pipeline.report.page import html
from pipeline.report.sentences import answer, metrics
from pipeline.report.text import markdown

__all__ = ["Findings", "answer", "html", "markdown", "metrics"]
