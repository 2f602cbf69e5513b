"""What a result depends on: the same fingerprint, the same bytes."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.files import digest, package_code
from pipeline.training import BACKENDS, backend, machine

# What all that is trained depends on; each learner names the rest, its own, among its sources.
CODE = (
    *("seeds.py", "space.py", "trial.py", "search.py", "engines"),
    *("training/program.py", "training/scored.py", "training/surroundings.py"),
)
PACKAGES = ("keras", "keras-tuner", "optuna", "numpy", "scikit-learn", "scipy")
# The stages whose results are trained: they depend on the machine too, and on CODE beside code of their own.
TRAINED: Mapping[str, tuple[str, ...]] = {
    "baseline": ("stages/baseline.py", "records/rows.py"),
    "search": ("stages/search.py", "records/rows.py"),
    "confirm": (
        "stages/answers.py",
        "stages/champion.py",
        "stages/confirm.py",
        "stages/conclusion.py",
        "stages/contests.py",
        "records/rows.py",
        "stages/selection.py",
        "stages/weights.py",
        "statistics",
    ),
}
# Of the others, the code and the packages.
MADE: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prepare": (("data", "seeds.py", "stages/prepare.py"), ("mlxtend", "numpy", "pillow")),
    "report": (
        ("report", "report/page.html.j2", "seeds.py", "statistics", "stages/report.py", "records/rows.py"),
        ("jinja2", "opda", "optuna", "pandas", "plotly", "scikit-learn"),
    ),
}
# A larger budget goes on with the same sequence; these numbers cut it and change nothing in it.
BUDGET = ("trials", "minutes", "trial_minutes", "patience")


def facts(tables: Mapping[str, Any], data_sha256: str) -> dict[str, Any]:
    """Everything that the results of a stage depend on, as a JSON value with a name for each part."""
    return {
        # As they are read back from a file: a tuple and the list it becomes are not equal.
        "study": json.loads(json.dumps(tables)),
        "data": data_sha256,
        **_surroundings(),
    }


def dependencies() -> dict[str, Any]:
    """What each stage's results depend on beside the study file and data, by stage: a JSON value.

    DVC runs a stage again when its part changes, and a record's key is made of the very same values.
    """
    trained = {stage: {**_surroundings(), "own_code": package_code(own)} for stage, own in TRAINED.items()}
    made = {
        stage: {"own_code": package_code(own), "packages": _versions(packages)}
        for stage, (own, packages) in MADE.items()
    }
    return {**trained, **made}


def _surroundings() -> dict[str, Any]:
    """What everything that is trained depends on."""
    packages = _versions((*BACKENDS[backend()], *PACKAGES))
    return {"machine": machine(), "packages": packages, "code": package_code(CODE)}


def _versions(packages: Iterable[str]) -> dict[str, str]:
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {**versions, "python": platform.python_version()}


def key(what: Mapping[str, Any]) -> str:
    """A short name for the facts."""
    return digest(what)[:16]


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Which parts differ, in words: "study.arm.fixed.epochs, study.space"."""
    return ", ".join(_differing(old, new))


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    for part in sorted({*old, *new}):
        before, after = old.get(part), new.get(part)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from (f"{part}.{inner}" for inner in _differing(before, after))
        elif before != after or (part in old) != (part in new):
            yield part
