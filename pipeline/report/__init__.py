"""What a study has found, as text, tables and figures.

from pipeline.report import Findings, answer, html, markdown, metrics
"""

from pipeline.report.findings import Findings, metrics
from pipeline.report.pages import html, markdown
from pipeline.report.sentences import answer

__all__ = ["Findings", "answer", "html", "markdown", "metrics"]
