"""repro: the due stages of a study without DVC, by the list that DVC has, with the same results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.files import digest, read_json, sha256, write_json
from pipeline.records.project import Project

STATE = "repro.json"
MEND = "Remove it: what is recorded is not trained again."


def wanted(project: Project, name: str | None, say: Callable[[str], None]) -> list[str]:
    """The study that is named, or those that params.yaml lists; that it lists none is said."""
    names = [name] if name else project.listed()
    if not names:
        say("params.yaml lists no study. Make one: study new NAME")
    return names


def repro(
    project: Project, name: str, stages: Mapping[str, Callable[[], object]], say: Callable[[str], None]
) -> None:
    """Run each stage whose inputs or results are not those that it was last run with and left behind.

    Args:
        stages: what runs each, in order.
        say: told of each stage before it runs.

    Raises:
        PipelineError: whatever a stage raises; what ran before it is not due again.
    """
    path = project.work(name) / STATE
    known: dict[str, Any] = read_json(path, MEND) if path.is_file() else {}
    for stage, run in stages.items():
        spec = _spec(stage, name)
        if not spec["always"] and known.get(stage) == _seen(project, spec):
            say(f"{stage} {name}: up to date.")
            continue
        say(f"{stage} {name}: runs.")
        run()
        known[stage] = _seen(project, spec)
        write_json(path, known)


def _spec(stage: str, name: str) -> dict[str, Any]:
    """What dvc.yaml says of a stage: tables and files that it depends on, files that it makes."""
    text = (package_files("pipeline") / "template" / "stages.yaml").read_text().replace("${item}", name)
    stated = YAML(typ="safe", pure=True).load(text)["stages"][stage]["do"]
    made = [
        next(iter(out)) if isinstance(out, dict) else out
        for out in _listed(stated, "outs", "plots", "metrics")
    ]
    tables = {file: keys or [] for one in stated.get("params", []) for file, keys in one.items()}
    return {
        "always": bool(stated.get("always_changed")),
        "tables": tables,
        "deps": stated.get("deps", []),
        "made": made,
    }


def _listed(stated: Mapping[str, Any], *keys: str) -> Iterator[Any]:
    for key in keys:
        yield from stated.get(key, [])


def _seen(project: Project, spec: Mapping[str, Any]) -> dict[str, str]:
    """A digest of each thing that a stage depends on or makes, as it is now; empty where nothing is."""
    root = project.root
    found = {place: _content(root / place) for place in (*spec["deps"], *spec["made"])}
    for file, keys in spec["tables"].items():
        for key in keys:
            found[f"{file} {key}"] = digest(_table(root / file, key))
    return found


def _table(path: Path, key: str) -> Any:
    value: Any = read_json(path, "Run `study check` again.")
    for part in key.split("."):
        value = value.get(part, {})
    return value


def _content(path: Path) -> str:
    if path.is_file():
        return sha256(path)
    names = sorted(one for one in path.rglob("*") if one.is_file())
    return digest({str(one.relative_to(path)): sha256(one) for one in names}) if names else ""
