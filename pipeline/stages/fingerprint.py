"""What a result depends on: the same fingerprint, the same bytes."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pipeline
from pipeline.files import digest
from pipeline.training import BACKENDS, backend, machine

CODE = ("seeds.py", "space", "trial.py", "models.py", "search.py", "training", "engines")
PACKAGES = ("keras", "keras-tuner", "optuna", "numpy", "scikit-learn", "scipy")
# A larger budget goes on with the same sequence; these numbers cut it and change nothing in it.
BUDGET = ("trials", "minutes", "patience")


def facts(tables: Mapping[str, Any], data_sha256: str) -> dict[str, Any]:
    """Everything that the results of a stage depend on, as a JSON value with a name for each part."""
    packages = (*BACKENDS[backend()], *PACKAGES)
    versions = {package: importlib.metadata.version(package) for package in packages}
    return {
        # As they are read back from a file: a tuple and the list it becomes are not equal.
        "study": json.loads(json.dumps(tables)),
        "data": data_sha256,
        "machine": machine(),
        "packages": {**versions, "python": platform.python_version()},
        "code": code(),
    }


def key(what: Mapping[str, Any]) -> str:
    """A short name for the facts."""
    return digest(what)[:16]


@cache
def code() -> str:
    """The SHA-256 of the code that trains and proposes, its comments and layout left out."""
    root = Path(pipeline.__file__).parent
    trees = {}
    for name in CODE:
        for path in sorted([root / name] if name.endswith(".py") else (root / name).rglob("*.py")):
            trees[str(path.relative_to(root))] = ast.dump(ast.parse(path.read_text()))
    return digest(trees)


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
