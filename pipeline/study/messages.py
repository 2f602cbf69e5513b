"""What is wrong in the tables of a study file, each seen by itself, in the words of this project."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from pipeline.errors import Problem, as_key, as_toml, nearest
from pipeline.space import Hyperparameter
from pipeline.study.entries import ENTRIES
from pipeline.study.tables import AtMost, Compared, StudyFile

Loc = tuple[Any, ...]
# Told as [section] key; of these a wrong key alone is left out, of any other value all of it.
SECTIONS = ("split", "baseline", "fixed", "compare", "space", "search", "confirm")
MODELS: Mapping[str, Any] = {name: field.annotation for name, field in StudyFile.model_fields.items()}
HOMES: Mapping[str, str] = {
    **{key: f"in [{name}]" for name in ("split", "search", "confirm") for key in MODELS[name].model_fields},
    **dict.fromkeys(StudyFile.model_fields, "at the top of the file, above the first [table]"),
}
# What must be given and is wrong is read on with these: every other problem is found, and none is made.
STAND_INS: Mapping[Loc, Any] = {
    ("question",): "?",
    ("dataset",): "digits",
    ("seed",): 0,
    ("space",): {},
    ("search",): {"trials": 100_000},
    ("search", "trials"): 100_000,
}
# What pydantic says otherwise than a person who writes TOML.
RULES: Mapping[str, str] = {
    "int_type": "must be a whole number.",
    "float_type": "must be a number.",
    "bool_type": "must be true or false.",
    "string_type": "must be text in quotes.",
    "list_type": "must be a list.",
    "sequence_type": "must be a list.",
    "dict_type": "must be a table.",
    "model_type": "must be a table.",
    "greater_than_equal": "must be at least {ge}.",
    "less_than_equal": "must be at most {le}.",
    "too_short": "must have {min_length} or more values.",
    "too_long": "must have {max_length} values at most.",
}


def read(raw: Mapping[str, Any], known: Mapping[str, Hyperparameter]) -> tuple[StudyFile, list[Problem]]:
    """The file without what is wrong in it, and every problem of its tables, each seen by itself."""
    empty = [f"[{name}]" for name in ("space", "compare") if raw.get(name) == {}]
    problems = [Problem("must have an entry.", "an empty table", "Add one, or remove it.", n) for n in empty]
    left = {key: dict(value) if isinstance(value, dict) else value for key, value in raw.items()}
    while True:
        try:
            return StudyFile.model_validate(left, context=known), problems
        except ValidationError as error:
            for loc, problem in (one for detail in error.errors() for one in _told(detail, known)):
                problems.append(problem)
                wrong = loc[:2] if loc[0] in SECTIONS else loc[:1]
                table = left if len(wrong) == 1 else left[loc[0]]
                table.pop(wrong[-1], None)
                table |= {wrong[-1]: STAND_INS[wrong]} if wrong in STAND_INS else {}


def _told(detail: Any, known: Mapping[str, Hyperparameter]) -> Iterator[tuple[Loc, Problem]]:
    """What pydantic found, in the words of this project."""
    loc, given, kind = detail["loc"], detail["input"], detail["type"]
    context = detail.get("ctx", {})
    if kind == "value_error":
        for problem in context["error"].problems:
            below = (*loc, problem.where) if problem.where else loc
            received = problem.received or as_toml(given[problem.where] if problem.where else given)
            yield below, replace(problem, where=_place(below), received=received)
    # A comparison may be over searches: who looks for the key here is sent to [search].
    elif kind == "extra_forbidden" or loc == ("compare", "searches"):
        yield loc, unknown(str(loc[-1]), _fields(loc), _place(loc), known)
    elif kind == "missing":
        yield loc, Problem("must be given.", "nothing", f"Add {_example(loc)}.", _place(loc))
    else:
        told = f"{detail['msg'].replace('Input should be', 'must be')}."
        must = RULES[kind].format_map(context) if kind in RULES else told
        words = re.findall(r"'(\w+)'", str(context.get("expected")))
        is_near = words and isinstance(given, str)
        advice = nearest(given, words) if is_near else f"Write {_example(loc)}, for example."
        yield loc, Problem(must, as_toml(given), advice, _place(loc))


def _fields(loc: Loc) -> Mapping[str, Any]:
    """The fields, by the keys that stand for them, of the table in which a place is."""
    table: Any = StudyFile
    if loc[:2] == ("search", "at_most") and len(loc) > 2:
        return AtMost.model_fields
    # Below the name of an entry, and of one of [space] its kind, which is no part of the file.
    if len(loc) > {"space": 3, "compare": 2}.get(loc[0], 1):
        table = ENTRIES[loc[2]] if loc[0] == "space" else Compared if loc[0] == "compare" else MODELS[loc[0]]
    return {field.alias or name: field for name, field in table.model_fields.items()}


def _example(loc: Loc) -> str:
    """How a key is written, or where it has no example of its own the section that it is in."""
    key, fields = next(part for part in reversed(loc) if isinstance(part, str)), _fields(loc)
    if loc[0] in SECTIONS and (len(loc) == 1 or key not in fields):
        [(inner, value)] = _fields(loc[:1])[loc[0]].examples[0].items()
        return f"[{loc[0]}] {inner} = {as_toml(value)}"
    return f"{key} = {as_toml(fields[key].examples[0])}"


def _place(loc: Loc) -> str:
    parts = loc[:2] + loc[3:] if loc[0] == "space" else loc
    names = [f"[{part}]" if isinstance(part, int) else f" {as_key(part)}" for part in parts[1:]]
    return "".join([f"[{parts[0]}]" if parts[0] in SECTIONS else as_key(parts[0]), *names])


def unknown(
    key: str, table: Mapping[str, Any], where: str, known: Mapping[str, Any], must: str = "unknown key."
) -> Problem:
    """A key that its table does not have: it belongs elsewhere, or it is misspelt."""
    is_elsewhere = key in known and table is not known
    home = HOMES.get(key) or ("in [baseline], [fixed] or [space]" if is_elsewhere else "")
    return Problem(must, as_key(key), f"It belongs {home}." if home else nearest(key, table), where)
