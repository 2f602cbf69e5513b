"""One entry of a study's [space], read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pipeline.errors import Problem, as_toml, nearest
from pipeline.space.known import Hyperparameter, Value
from pipeline.space.values import Choice, Dimension, Parent, Range

Hyperparameters = Mapping[str, Hyperparameter]

KINDS = ("float", "int", "choice")
MAX_CHOICES = 1_000
MAX_POINTS = 1_000_000
_NOUNS = {"int": "whole number", "float": "finite number"}


def dimension(name: str, table: object, hyperparameters: Hyperparameters) -> Dimension | list[Problem]:
    """One entry of a study's [space]; or everything that is wrong with it, not yet placed."""
    known = hyperparameters.get(name)
    if not isinstance(table, dict):
        return [_no_table(name, table)]
    kinds = [kind for kind in KINDS if kind in table]
    if len(kinds) != 1:
        keys = set(KINDS) | {"log", "step", "when"}
        hints = [nearest(key, KINDS) for key in table if key not in keys and not kinds]
        advice = next((hint for hint in hints if hint.startswith("Did")), f"Write {_example(name, known)}.")
        return [Problem("an entry must have exactly one of float, int, choice.", as_toml(table), advice)]
    kind = kinds[0]
    allowed = {kind, "when"} | (set() if kind == "choice" else {"log", "step"})
    problems = [
        Problem(f"unknown key {as_toml(key)}.", as_toml(table), nearest(key, allowed))
        for key in table
        if key not in allowed
    ]
    parent = _parent(table["when"], hyperparameters) if "when" in table else None
    values = _choice(name, known, table[kind]) if kind == "choice" else _range(name, known, kind, table)
    for part in (parent, values):
        if isinstance(part, list):
            problems += part
    if problems or isinstance(values, list) or isinstance(parent, list):
        return problems
    return Dimension(name, values, parent)


def _example(name: str, known: Hyperparameter | None) -> str:
    """How an entry for `name` is written."""
    if known and known.words:
        return f"{name} = {{ choice = {as_toml(known.words)} }}"
    return f"{name} = {{ {'int' if known and known.kind is int else 'float'} = [low, high] }}"


def _no_table(name: str, value: object) -> Problem:
    values = value if isinstance(value, list) else [value]
    advice = f"Write {name} = {{ choice = {as_toml(values)} }}, or move {name} to [fixed]."
    return Problem("an entry must be a table with float, int or choice.", as_toml(value), advice)


def _is_scalar(value: object) -> bool:
    return isinstance(value, (int, float, str)) and not isinstance(value, bool)


def _parent(when: object, hyperparameters: Hyperparameters) -> Parent | list[Problem]:
    if isinstance(when, dict) and len(when) == 1:
        [(name, value)] = when.items()
        values = value if isinstance(value, list) else [value]
        if values and all(_is_scalar(value) for value in values):
            known = hyperparameters.get(name)
            return name, tuple(known.exact(v) if known and known.admits(v) else v for v in values)
    must = "when must name one other hyperparameter and the value, or values, at which this one counts."
    return [Problem(must, f"when = {as_toml(when)}", 'Write when = { model = "cnn" }, for example.')]


def _choice(name: str, known: Hyperparameter | None, values: object) -> Choice | list[Problem]:
    if not isinstance(values, list) or not 1 <= len(values) <= MAX_CHOICES:
        example = known.words if known and known.words else ("first", "second")
        advice = f"Write {name} = {{ choice = [{', '.join(example)}] }}."
        return [Problem(f"choice must be a list of 1 to {MAX_CHOICES} values.", as_toml(values), advice)]
    wrong = [known.problem(value) for value in values] if known else []
    problems = [problem for problem in wrong if problem]
    if not all(_is_scalar(value) for value in values) and not problems:
        advice = f"Write {name} = {{ choice = [first, second] }}."
        problems = [Problem("each value of a choice must be a number or a text.", as_toml(values), advice)]
    if problems:
        return problems
    exact = tuple(known.exact(value) if known else value for value in values)
    if len(set(exact)) < len(exact):
        twice = next(value for index, value in enumerate(exact) if value in exact[:index])
        return [Problem("choice must not repeat a value.", as_toml(values), f"Remove one {as_toml(twice)}.")]
    return Choice(exact)


def _range(
    name: str, known: Hyperparameter | None, kind: str, table: dict[str, Any]
) -> Range | list[Problem]:
    if known and known.kind and known.kind.__name__ != kind:
        must = f"must be searched as {'choice' if known.words else known.kind.__name__}."
        return [Problem(must, f"{kind} = {as_toml(table[kind])}", f"Write {_example(name, known)}.")]
    problems = _flags(kind, table)
    ends = table[kind]
    if not isinstance(ends, list) or len(ends) != 2 or not all(_is_number(end, kind) for end in ends):
        must = f"{kind} must be two {_NOUNS[kind]}s."
        advice = f"Write {name} = {{ {kind} = [low, high] }}."
        return [Problem(must, f"{kind} = {as_toml(ends)}", advice), *problems]
    outside = [known.problem(end) for end in ends] if known else []
    problems = [problem for problem in outside if problem] + _ends(name, kind, table) + problems
    if problems:
        return problems
    exact = int if kind == "int" else float
    step = exact(table["step"]) if "step" in table else None
    values = Range(exact(ends[0]), exact(ends[1]), kind == "int", table.get("log", False), step)
    return values if step is None else _steps(known, kind, values, table) or values


def _is_number(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (kind == "float" and isinstance(value, float) and math.isfinite(value))


def _flags(kind: str, table: dict[str, Any]) -> list[Problem]:
    """What is wrong with log and step, whatever the ends are."""
    problems = []
    log, step = table.get("log", False), table.get("step", 1)
    if not isinstance(log, bool):
        problems.append(Problem("log must be true or false.", f"log = {as_toml(log)}", "Write log = true."))
    if not _is_number(step, kind) or step <= 0:
        must = f"step must be a {_NOUNS[kind]} above 0."
        problems.append(Problem(must, f"step = {as_toml(step)}", "Raise step, or drop it."))
    elif log is True and "step" in table:
        received = f"step = {as_toml(step)}, log = true"
        problems.append(Problem("step and log must not meet in one entry.", received, "Drop one of them."))
    return problems


def _ends(name: str, kind: str, table: dict[str, Any]) -> list[Problem]:
    """What is wrong between the two ends, and between them and a log scale."""
    low, high = table[kind]
    received = f"{kind} = {as_toml(table[kind])}"
    problems = []
    if low >= high:
        swap = f"Swap them: {kind} = {as_toml([high, low])}."
        advice = swap if low > high else f"Move {name} to [fixed], or widen the range."
        problems.append(Problem("the first end must be below the second.", received, advice))
    if table.get("log") is True and min(low, high) <= 0:
        must, advice = "a log scale must begin above 0.", "Raise the first end above 0, or drop log."
        problems.append(Problem(must, f"{received}, log = true", advice))
    return problems


def _steps(known: Hyperparameter | None, kind: str, values: Range, table: dict[str, Any]) -> list[Problem]:
    """What is wrong between the step and the ends of a range that is otherwise in order."""
    written = f"{kind} = {as_toml(table[kind])}, step = {as_toml(table['step'])}"
    count, step = values.num_points() or 0, values.stride or Fraction(1)
    if count == 1:
        width = values.width if kind == "int" else float(values.width)
        return [Problem("step must be no larger than the range.", written, f"Lower it to {width} at most.")]
    if count > MAX_POINTS:
        return [Problem(f"step must make at most {MAX_POINTS:,} values.", written, "Raise step, or drop it.")]
    if values.width % step == 0:
        return []
    # The samplers would lower such an end without a word.
    must = "the second end must be a whole number of steps above the first."
    end = _nearest_end(known, values, count, step)
    nearest_ends = as_toml([table[kind][0], end])
    return [Problem(must, written, f"Write {kind} = {nearest_ends}: {end} is the nearest such end.")]


def _nearest_end(known: Hyperparameter | None, values: Range, count: int, step: Fraction) -> Value:
    """The end on the grid of steps that is nearest to the written one, of those that are permitted."""
    low, high = Fraction(str(values.low)), Fraction(str(values.high))
    ends = [low + (count - 1) * step, low + count * step]
    numbers = [int(end) if values.is_int else float(end) for end in ends]
    permitted = [number for number in numbers if not known or known.admits(number)]
    return min(permitted, key=lambda number: abs(Fraction(str(number)) - high))
