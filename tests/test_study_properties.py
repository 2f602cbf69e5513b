"""Whatever stands in a study file, it becomes a study or a refusal in the project's own words.

A longer search for what does neither: STUDY_EXAMPLES=100000 pytest tests/test_study_properties.py
"""

import itertools
import json
import os
import re
import tempfile
from pathlib import Path

import pytest
from fakes import load, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import StudyError
from pipeline.files import digest
from pipeline.learners.networks import Networks
from pipeline.study import Study, template
from pipeline.study.tables import (
    CENTRE,
    DATASET_NAMES,
    SAMPLERS,
    Confirm,
    Objective,
    Search,
    Split,
    StudyFile,
)

EXAMPLES = int(os.environ.get("STUDY_EXAMPLES", "60"))
# A search that is longer than usual looks elsewhere each time; the usual one is the same each time.
searching = settings(
    max_examples=EXAMPLES, deadline=None, database=None, derandomize="STUDY_EXAMPLES" not in os.environ
)

# What a study of the family cnn, which all of them are, may set.
HYPERPARAMETERS = Networks(("mlp", "cnn")).hyperparameters
TABLES = {
    "": StudyFile.model_fields,
    "split": Split.model_fields,
    "search": Search.model_fields,
    "confirm": Confirm.model_fields,
    "objective": Objective.model_fields,
    "compare": [*HYPERPARAMETERS, "engine", "sampler", "pruner"],
    **dict.fromkeys(("baseline", "fixed", "space"), HYPERPARAMETERS),
}
WORDS = sorted({*itertools.chain(*TABLES.values()), "float", "int", "choice", "log", "step", "when", "npz"})
VOCABULARY = [
    *WORDS,
    *DATASET_NAMES,
    *sum(SAMPLERS.values(), ()),
    "relu",
    "cnn",
    "median",
    CENTRE,
    "optuna",
    "val_loss",
]
keys = st.sampled_from(WORDS) | st.text(max_size=5)
numbers = (
    st.integers(-2, 130) | st.integers(-(2**63), 2**63) | st.floats() | st.sampled_from([0.1, 1e-4, 0.5, 64])
)
scalars = numbers | st.booleans() | st.sampled_from(VOCABULARY) | st.text(max_size=5) | st.dates()


def tables(inner):
    return st.dictionaries(keys, inner, max_size=4)


values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | tables(inner), max_leaves=6)


def written(value: object) -> str:
    """A value in TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)} = {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    if isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)


def document(tree: dict) -> str:
    return "\n".join(f"{written(key)} = {written(value)}" for key, value in tree.items())


def accepted(text: str) -> Study | None:
    """The study of a text; None where it is refused in the project's own words."""
    try:
        return parse(text, "tiny")
    except StudyError as error:
        problems = error.problems
    assert problems
    for problem in problems:
        must, received = str(problem).split("\n")
        assert must.endswith(".")
        assert received.startswith("Received: ")
    return None


entries = st.fixed_dictionaries(
    {},
    optional={
        "float": st.lists(numbers, min_size=2, max_size=2) | values,
        "int": st.lists(st.integers(0, 99), min_size=2, max_size=2) | values,
        "choice": st.lists(scalars, max_size=4) | values,
        "log": st.booleans() | values,
        "step": numbers | values,
        "when": st.dictionaries(keys, scalars, max_size=2) | values,
    },
)


@given(st.text() | st.text("[]{}='\".,#0123456789e-\n \tabc_"))
@searching
def test_any_text_is_a_study_or_a_refusal(text):
    """Text that is no TOML is refused, and so is TOML that is no study."""
    assert accepted(text) is None


@given(st.binary() | st.text().map(str.encode))
@searching
def test_any_bytes_are_a_study_or_a_refusal(content):
    """A file of any content is refused with its path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tiny", "study.toml")
        path.parent.mkdir()
        path.write_bytes(content)
        with pytest.raises(StudyError, match=re.escape(str(path))):
            load(path)


@given(st.data())
@searching
def test_any_edit_of_a_study_is_a_study_or_a_refusal(data):
    """A slip of the hand in a good file, a line lost, doubled, or cut, ends in no traceback."""
    text = template("tiny")
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 40)))
    put = data.draw(
        st.text(max_size=3) | st.sampled_from([text[start:end] * 2, "0", "-", "nan", '"', "[", "1e999"])
    )
    study = accepted(text[:start] + put + text[end:])
    assert study is None or study.arms


@st.composite
def choosable(draw, name: str):
    """An entry of [space] that is in order, of few values."""
    known = HYPERPARAMETERS[name]
    if known.words:
        return {"choice": draw(st.lists(st.sampled_from(known.words), min_size=1, unique=True))}
    if known.kind is int:
        low, step, count = draw(st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(1, 3)))
        return {"int": [low, low + step * count], "step": step}
    low, step = draw(st.sampled_from([(0.1, 0.1), (0.25, 0.05), (1e-4, 1e-4), (0.3, 0.03)]))
    count = draw(st.integers(1, 2))
    return {"float": [low, round(low + step * count, 6)], "step": step}


@st.composite
def sound(draw):
    """A study file that is in order, its space a grid."""
    names = draw(
        st.lists(
            st.sampled_from(sorted({*HYPERPARAMETERS} - {"epochs"})), min_size=1, max_size=5, unique=True
        )
    )
    space = {name: draw(choosable(name)) for name in names}
    for parent, child in itertools.pairwise(names):
        kind = next(iter(space[parent]))
        if kind != "float" and draw(st.booleans()):
            space[child]["when"] = {parent: space[parent][kind][0]}
    search = {"sampler": "grid", "trials": 100_000, "engine": draw(st.sampled_from(list(SAMPLERS)))}
    return {
        "question": "?",
        "dataset": "digits",
        "model": "cnn",
        "seed": draw(st.integers(0, 2**63 - 1)),
        "space": space,
        "search": search,
    }


@st.composite
def mistaken(draw):
    """A study file in order but for a few keys, right or wrong, with values right or wrong."""
    tree = draw(sound())
    for table in draw(st.lists(st.sampled_from(sorted(TABLES)), min_size=1, max_size=4)):
        target = tree.setdefault(table, {}) if table else tree
        if isinstance(target, dict):
            target[draw(st.sampled_from(list(TABLES[table])) | keys)] = draw(entries | values)
    return tree


@given(mistaken())
@searching
def test_any_document_is_a_study_or_a_refusal(tree):
    """Right keys with wrong values, wrong keys, nested garbage: nothing ends in a traceback."""
    study = accepted(document(tree))
    assert study is None or json.dumps(study.plan(), allow_nan=False)


@given(sound())
@searching
def test_a_sound_file_is_a_study_with_one_plan(tree):
    """Its plan is JSON and the same at every reading, with comments or without."""
    text = document(tree)
    plan = accepted(text).plan()
    written_plan = json.dumps(plan, allow_nan=False)
    assert digest(json.loads(written_plan)) == digest(plan)
    assert json.dumps(accepted(f"# A remark.\n{text} # Another.").plan()) == written_plan


@given(sound())
@searching
def test_every_point_of_a_studys_grid_is_held_and_admitted(tree):
    """No engine can be handed a value that the space or the hyperparameter does not permit."""
    study = accepted(document(tree))
    held = {entry.name: entry.values for entry in study.space}
    grid = study.space.grid()
    assert len(grid) == study.space.grid_size()
    for row in grid:
        assert study.space.active({**study.baseline.configuration, **row}) == row
        assert all(held[name].holds(value) for name, value in row.items())
        assert all(HYPERPARAMETERS[name].admits(value) for name, value in row.items())


@given(sound())
@searching
def test_every_range_ends_on_a_step(tree):
    """The samplers would lower an end that is off the steps without a word."""
    for entry in accepted(document(tree)).space:
        if "choice" not in tree["space"][entry.name]:
            assert entry.values.points()[0] == entry.values.low
            assert entry.values.points()[-1] == entry.values.high
