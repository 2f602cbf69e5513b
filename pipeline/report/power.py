"""What the study's comparisons could have told from no difference, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.findings import Findings
from pipeline.report.tables import amount, gap
from pipeline.statistics import MOST_SEEDS, Interval

# A difference that is none but for rounding.
NO_DIFFERENCE = 1e-9


def resolved(findings: Findings) -> list[str]:
    """What seeds and inputs could resolve between winner and baseline; where they did not, what would."""
    conclusion = findings.conclusion
    inputs = amount(conclusion["num_test"], f"test {findings.noun}")
    what = f"{amount(conclusion['repeats'], 'seed')} and {inputs}"
    return _told("accuracy", conclusion["resolution"], Interval(**conclusion["difference"]), what, inputs)


def of_pair(findings: Findings, group: Mapping[str, Any], arm: str) -> list[str]:
    """What could be resolved on val between the best arm of a group and another."""
    what = amount(findings.conclusion["repeats"], "seed")
    inputs = f"the validation {findings.noun}s"
    if findings.conclusion["compared_over"] != "seeds":
        what = f"{what} and {inputs}"
    seen = Interval(**group["ahead_of"][arm])
    return _told(findings.metric, group["resolution"][arm], seen, what, inputs)


def _told(metric: str, found: Mapping[str, Any], seen: Interval, what: str, inputs: str) -> list[str]:
    if seen.low == seen.high:
        # Nothing varied, so nobody knows what could.
        return []
    told = _smallest(metric, found, what)
    is_open = not seen.is_resolved and abs(seen.mean) >= NO_DIFFERENCE
    return [f"{told} {_more(metric, found, seen.mean, inputs)}" if is_open else told]


def _smallest(metric: str, found: Mapping[str, Any], what: str) -> str:
    size = gap(metric, found["smallest"]).removeprefix("+")
    return f"{what} resolve true differences from {size} on, in four studies of five."


def _more(metric: str, found: Mapping[str, Any], difference: float, inputs: str) -> str:
    size = gap(metric, abs(difference)).removeprefix("+")
    if found["num_seeds"] is not None:
        return f"To resolve one of {size} so often takes {amount(found['num_seeds'], 'seed')}."
    if abs(difference) <= found["limit"]:
        limit = gap(metric, found["limit"]).removeprefix("+")
        return f"No number of seeds resolves one of {size} so often: {inputs} alone hide less than {limit}."
    return f"To resolve one of {size} so often takes more than {MOST_SEEDS:,} seeds."
