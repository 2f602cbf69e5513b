"""What a study file says of a Keras Tuner hypermodel, derived from what its builds declare."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.errors import BARE_KEY, Problem, StudyError, as_key, as_toml
from pipeline.study import template

Build = Mapping[str, Any]
# What must hold for a hyperparameter to count, the outermost scope first: a name and the values it may have.
Scopes = tuple[tuple[str, tuple[Any, ...]], ...]

# What a study file gives a meaning of its own, which a hyperparameter of this name would be mistaken for.
TAKEN = ("engine", "sampler", "pruner", "schedule")


@dataclass(frozen=True)
class Declared:
    """One hyperparameter of a hypermodel.

    Attributes:
        every: its declarations in all builds, as `hypermodel.recorded` notes them.
    """

    name: str
    every: Sequence[Mapping[str, Any]]

    @property
    def entry(self) -> dict[str, Any]:
        """As a study file's [space] has it, but for `when`; {"fixed": value} where nothing is searched."""
        return dict(self.every[0]["entry"])

    @cached_property
    def scopes(self) -> tuple[Scopes, ...]:
        """Where it counts, () for everywhere; in each of these it is declared."""
        found = [tuple((name, tuple(at)) for name, at in one["conditions"]) for one in self.every]
        return ((),) if () in found else tuple(dict.fromkeys(found))

    @property
    def where(self) -> str:
        """File and line of its first declaration."""
        return shown(self.every[0]["place"])

    def counts(self, build: Build) -> bool:
        """Whether it counts at the values of a build."""
        values = build["values"]
        return any(all(values.get(name) in at for name, at in scope) for scope in self.scopes)

    def is_in(self, build: Build) -> bool:
        """Whether a build declares it."""
        return any(one["name"] == self.name for one in build["declared"])


def shown(place: Sequence[Any] | None) -> str:
    """A file of the user's and its line, in words."""
    if place is None:
        return ""
    path = Path(place[0])
    here = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{here}, line {place[1]}"


def hyperparameters(builds: Sequence[Build]) -> dict[str, Declared]:
    """What the builds declare, by name, in the order in which it was met."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for build in builds:
        for one in build["declared"]:
            found.setdefault(one["name"], []).append(one)
    return {name: Declared(name, every) for name, every in found.items()}


def tables(recorded: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The tables [baseline], [fixed] and [space] of a study of a hypermodel.

    Raises:
        StudyError: it declares what a study file cannot say; each place in the user's file.
    """
    builds = recorded["builds"]
    known = hyperparameters(builds)
    problems = [*_own_fit(recorded["fit"])]
    whens: dict[str, dict[str, Any]] = {}
    for one in known.values():
        when = _when(one, known)
        checks = (_taken(one), _moved(one, builds), _scattered(one, when), _absent(one, builds))
        problems += list(chain.from_iterable(checks))[:1]
        whens[one.name] = {"when": when} if when else {}
    if problems:
        raise StudyError(*problems)
    fixed = {name: one.entry["fixed"] for name, one in known.items() if "fixed" in one.entry}
    defaults = {name: one.every[0]["default"] for name, one in known.items()}
    # What a model that is compiled has no use for stays out of the file.
    plain = {"batch_size": 32, "epochs": 5} | ({} if recorded["compiled"] else {"learning_rate": 0.001})
    return {
        "baseline": {**plain, **defaults, **fixed},
        "fixed": {"epochs": 5, **fixed},
        "space": {name: {**one.entry, **whens[name]} for name, one in known.items() if name not in fixed},
    }


def placed(problems: Sequence[Problem], recorded: Mapping[str, Any]) -> Iterator[Problem]:
    """Problems of a study file that was made, the first of each hyperparameter, by place in the user's."""
    ends = {f" {as_key(one.name)}": one.where for one in hyperparameters(recorded["builds"]).values()}
    told = set()
    for problem in problems:
        end = next((end for end in ends if problem.where.endswith(end)), problem.where)
        if end not in told:
            yield problem.at(ends[end]) if ends.get(end) else problem
        told.add(end)


def _taken(one: Declared) -> Iterator[Problem]:
    if one.name in TAKEN or (one.name == "epochs" and "fixed" not in one.entry):
        must = f"{one.name} must have another name: a study file has this one for itself."
        yield Problem(must, as_toml(one.entry), "Rename it.", one.where)


def _own_fit(place: Sequence[Any] | None) -> Iterator[Problem]:
    if place is not None:
        must = "fit must be Keras Tuner's own: a study trains its models itself."
        advice = "Remove it: batch_size and epochs are the study's; a loop of your own is train in model.py."
        yield Problem(must, "a fit of the hypermodel's own", advice, shown(place))


def _moved(one: Declared, builds: Sequence[Build]) -> Iterator[Problem]:
    """Bounds that are not the same everywhere, or of a kind that a study file does not have."""
    other = next((each for each in one.every if each["entry"] != one.entry), None)
    if other is not None:
        first = [build for build in builds if _has(build, one.name, one.entry)]
        rest = [build for build in builds if one.is_in(build) and not _has(build, one.name, one.entry)]
        cause = _cause(one.name, rest, first)
        where = f" where {_spelled(*cause)}" if cause else ""
        received = f"{as_toml(one.entry)}, and {as_toml(other['entry'])}{where}"
        must = f"{as_key(one.name)} must have the same bounds, or choices, wherever it is declared."
        advice = "Declare it once, as wide as it gets, or give each its own name."
        yield Problem(must, received, advice, shown(other["place"]))
    if "reverse_log" in one.entry:
        must = f"the sampling of {as_key(one.name)} must be linear or log."
        advice = 'Declare how far it lies from its upper end instead, with sampling="log".'
        yield Problem(must, "reverse_log", advice, one.where)


def _has(build: Build, name: str, entry: Mapping[str, Any]) -> bool:
    return any(one["name"] == name and one["entry"] == entry for one in build["declared"])


def _when(one: Declared, known: Mapping[str, Declared]) -> dict[str, Any] | None:
    """The scopes of a hyperparameter as one `when`, empty for everywhere; None where one cannot say it."""
    if one.scopes == ((),):
        return {}
    parents = {scope[-1][0] for scope in one.scopes}
    held: dict[Scopes, dict[Any, None]] = {}
    for scope in one.scopes:
        held.setdefault(scope[:-1], {}).update(dict.fromkeys(scope[-1][1]))
    first = next(iter(held.values()))
    # `when` names the nearest scope alone: those around it must be the parent's, all of them.
    is_said = len(parents) == 1 and all(at.keys() == first.keys() for at in held.values())
    [parent, *_] = parents
    if not is_said or {*held} != {*known[parent].scopes}:
        return None
    return {parent: list(first) if len(first) > 1 else next(iter(first))}


def _scattered(one: Declared, when: dict[str, Any] | None) -> Iterator[Problem]:
    if when is None:
        must = f"{as_key(one.name)} must count under one condition: `when` names one hyperparameter."
        received = "; ".join(" and ".join(_spelled(*each) for each in scope) for scope in one.scopes)
        advice = "Nest a scope only in that of its own parent, or give each its own name."
        yield Problem(must, received, advice, one.where)


def _absent(one: Declared, builds: Sequence[Build]) -> Iterator[Problem]:
    """A name that some builds declare and others do not, without a scope that says so."""
    without = [build for build in builds if one.counts(build) and not one.is_in(build)]
    if not without:
        return
    cause = _cause(one.name, [build for build in builds if one.is_in(build)], without)
    must = f"{as_key(one.name)} must be declared in every build, or under hp.conditional_scope."
    received = f"declared in {len(builds) - len(without)} of {len(builds)} builds"
    advice = "Declare it above the `if`, or the loop, that it depends on."
    if cause:
        received = f"declared only where {_spelled(*cause)}"
        advice = f"Put it under hp.conditional_scope({cause[0]!r}, {list(cause[1])}), or above the `if`."
    yield Problem(must, received, advice, one.where)


def _cause(name: str, some: Sequence[Build], others: Sequence[Build]) -> tuple[str, tuple[Any, ...]] | None:
    """The one hyperparameter, and its values, by which some builds differ from all others."""
    names = dict.fromkeys(each for build in some for each in build["values"] if each != name)
    for each in names:
        values = {build["values"].get(each) for build in some}
        if None not in values and not values & {build["values"].get(each) for build in others}:
            return each, tuple(sorted(values))
    return None


def _spelled(name: str, values: Sequence[Any]) -> str:
    return f"{as_key(name)} is {' or '.join(as_toml(value) for value in values)}"


def of_hypermodel(name: str, parallel: int, target: str, tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a study file for the model in model.py, with these for [baseline], [fixed] and [space].

    Args:
        target: what model.py calls, in words.
    """
    head, *blocks = template(name, parallel).split("\n\n")
    told = {"question": f"How much does tuning buy {target}?", "model": "model.py:build"}
    told_lines = {key: f"{key:<10}= {_toml(value)}" for key, value in told.items()}
    written = ["\n".join(told_lines.get(line.split(" ")[0], line) for line in head.splitlines())]
    for block in blocks:
        table = block.partition("]")[0].removeprefix("[")
        title = block.splitlines()[0].partition(";")[0]
        lines = [f"{_key(key)} = {_toml(value)}" for key, value in tables.get(table, {}).items()]
        written.append("\n".join([title, *lines]) if table in tables else block)
    return "\n\n".join(written)


def _toml(value: Any) -> str:
    """A value as a study file has it, on one line; unlike a message's, however long."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {_toml(inner)}' for key, inner in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(inner) for inner in value)}]"
    # What JSON has for numbers, texts and truths, TOML has too.
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _toml(name)
