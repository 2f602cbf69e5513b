"""Every mistake in a study file is refused with one message that says what to do.

The two texts beside this file hold mistakes and their messages: a line that begins with > says what is
written into STUDY, and the two lines after it are what the user reads (an ellipsis: and so on; FAMILIES:
the networks' names; MODELS: all that a file may name for its model).
"""

import os
import re
from pathlib import Path

import pytest
from fakes import load, parse

from pipeline.errors import StudyError
from pipeline.learners import Found
from pipeline.learners.networks import NAMES

STUDY = {
    "": ['question = "Which?"', 'dataset = "mnist"', "seed = 1"],
    "baseline": ["dropout = 0.1"],
    "fixed": ["hidden_units = 64"],
    "space": ["learning_rate = { float = [1e-4, 1e-2], log = true }", "batch_size = { choice = [32, 64] }"],
    "search": ["trials = 4"],
}


def edited(edit: str = "") -> str:
    """The text of STUDY, the lines of `edit` in the place of those with the same key; a bare key goes."""
    tables = dict(STUDY)
    for piece in filter(None, edit.split(" ;; ")):
        table, line = re.fullmatch(r"(?:\[(\w+)\] ?)?(.*)", piece).groups(default="")
        key = line.partition(" =")[0]
        kept = [old for old in tables.get(table, []) if not old.startswith(f"{key} =")]
        tables[table] = [*kept, line] if "=" in line else kept
    return "\n".join(line for table, lines in tables.items() for line in (f"[{table}]" * bool(table), *lines))


def refused(text: str) -> list[str]:
    """What a study file is refused with, a message for each problem."""
    with pytest.raises(StudyError) as caught:
        parse(text, "tiny")
    return [str(problem) for problem in caught.value.problems]


def mistakes(name: str) -> list[tuple[str, str]]:
    """Each mistake of a text beside this file, and its message."""
    text = Path(__file__).with_name(f"test_study_refused_{name}.txt").read_text()
    text = text.replace("FAMILIES", ", ".join(NAMES)).replace("MODELS", ", ".join(Found.words))
    return [tuple(case.strip().split("\n", 1)) for case in text.removeprefix("> ").split("\n> ")]


def reads(told: str, message: str) -> bool:
    """Whether a user reads `message`, which may break off with an ellipsis."""
    return told.startswith(message[:-1].rstrip()) if message.endswith("…") else told == message


def test_the_study_that_these_mistakes_are_made_in_is_in_order():
    """Each refusal below is for its own mistake."""
    assert parse(edited(), "tiny").search.trials == 4


@pytest.mark.parametrize(("edit", "message"), [*mistakes("tables"), *mistakes("space")])
def test_a_mistake_is_told_once_with_its_place_and_a_way_out(edit, message):
    """One mistake makes one message: where, what must hold, what was received, what to do."""
    [told] = refused(edited(edit))
    assert reads(told, message), told


def test_every_problem_is_found_in_one_go():
    """A file with a mistake in every line is told them all, none hidden by another."""
    cases = {edit: message for name in ("tables", "space") for edit, message in mistakes(name)}
    edits = [
        'dataset = "mnst"', 'model = "mpl"', "seed = -1", 'objective = "max"', "[split] val = nan",
        "[confirm] top = 0", "[baseline] dropout = 1.5", "[fixed] epochs = 0", "[search] trials = 0",
        '[search] sampler = "tpee"', "[search] start_with = [{ zoom = 0.1 }]",
        "[space] learning_rate = { float = [0.1, 0.0001] }", "[space] batch_size = { choice = [32, 32] }",
        "[compare] zoom = { choice = [0, 1] }",
    ]  # fmt: skip
    told = refused(edited(" ;; ".join(edits)))
    assert sorted(told) == sorted(cases[edit] for edit in edits)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('split = 3\nquestion = "Which?"', "[split]: must be a table.\nReceived: 3. Write [split] val = 0.2"),
        ("[[confirm]]\ntop = 3", "[confirm]: must be a table.\nReceived: [{ top = 3 }]. Write [confirm] top"),
        ("search = 4", "[search]: must be a table.\nReceived: 4. Write [search] trials = 40, for example."),
        ("", "[search]: must be given.\nReceived: nothing. Add [search] trials = 40."),
    ],
)
def test_a_table_that_is_none_is_told_with_one_way_to_write_it(text, message):
    """What stands in the place of a table, or nothing at all, is told and nothing else of that table."""
    about = [told for told in refused(text) if told.startswith(message.partition(":")[0])]
    assert len(about) == 1
    assert about[0].startswith(message)


NOT_TOML = "the file must be TOML.\nReceived: "
TWICE = "a key or a table must be given once.\nReceived: "
DEEP = "values must nest a few deep at most.\nReceived: more. Flatten them."
LARGE = "a number must fit into 64 bits.\nReceived: "
TEXTS = [
    ("question: Which?", f"{NOT_TOML}line 1, question: Which? (Expected '=' after a key in a"),
    ("seed = 1\nmodel = mlp\n", f"{NOT_TOML}line 2, model = mlp (Invalid value). Mend that line"),
    ("question = 'Which", f"{NOT_TOML}line 1, question = 'Which (Expected \"'\")"),
    ("seed = '\x00'", f"{NOT_TOML}line 1, seed = '\\x00' (Found invalid character '\\x00')"),
    ("seed = 1\nseed = 2\nx = 1", f"{TWICE}line 2, seed = 2 (Cannot overwrite a value). Remove one of"),
    ("[space]\n[space]", f"{TWICE}line 2, [space] (Cannot declare ('space',) twice)."),
    ("seed = { a = 1, a = 2 }", f"{TWICE}line 1, seed = {{ a = 1, a = 2 }} (Duplicate inline table key"),
    (f"seed = 0x{'f' * 5_000}", f"seed: {LARGE}a number of 20000 bits. Shorten it."),
    ("seed = " + "9" * 5_000, f"{LARGE}one of thousands of digits. Shorten the number."),
    ("[search]\ntrials = 9223372036854775808", f"search trials: {LARGE}a number of 64 bits."),
    ("seed = " + "[" * 5_000, DEEP),
    ("a." * 40_000 + "a = 1", "a line must have at most 300 dots.\nReceived: line 1. Break the line"),
]


@pytest.mark.parametrize(("text", "message"), TEXTS, ids=range(len(TEXTS)))
def test_a_text_that_is_no_study_file_is_refused(text, message):
    """What is not TOML, or larger than any study means, is told with its place."""
    [told] = refused(text)
    assert message in told


def test_a_wrong_parent_is_told_without_blaming_its_child():
    """An entry with a mistake is still there for those that name it."""
    child = "[space] zoom = { choice = [0, 0.1], when = { activation = 'relu' } }"
    [told] = refused(edited(f"[space] activation = {{ choice = ['relu', 'elu'] }} ;; {child}"))
    assert told.startswith("[space] activation: must be one of relu")


@pytest.mark.parametrize("line", [r'"\u001b[31m\n" = 1', r'question = "\u001b[31m"', "model = '''\n\n\n'''"])
def test_what_the_file_says_cannot_steer_a_terminal(line):
    """Keys and values are shown with their control characters spelled out, each problem in two lines."""
    for told in refused(f"{line}\n[fixed]\n{line}"):
        assert told.count("\n") == 1
        assert told.replace("\n", "").isprintable()


def written(path, content: bytes):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def pipe(path):
    path.parent.mkdir()
    os.mkfifo(path)


NOT_THERE = "the study file must be there.\nReceived: no such file. "
PLACES = [
    (lambda path: path.mkdir(parents=True), "the study file must be a file.\nReceived: a folder. Move it"),
    (pipe, "the study file must be a file.\nReceived: a pipe or a device. Move it out of the way."),
    (
        lambda path: path.parent.write_text(""),
        "the study file must be readable.\nReceived: Not a directory. Mend its path or its permissions.",
    ),
    (str, f"{NOT_THERE}Did you mean mnist-mlp? For a new study run: study new mnist-mpl"),
    (lambda path: written(path, b"\xff\xfe"), "a study file must be UTF-8 text.\nReceived: 'utf-8' codec"),
    (
        lambda path: written(path, b"#" * 100_001),
        "a study file must have at most 100,000 bytes.\nReceived: 100,001 bytes. Is this the right file?",
    ),
    (lambda path: written(path, b"x"), f"{NOT_TOML}line 1, x (Expected '=' after a key"),
]


@pytest.mark.parametrize(("make", "message"), PLACES, ids=range(len(PLACES)))
def test_a_file_that_cannot_be_read_is_refused_with_its_path(tmp_path, make, message):
    """Whatever stands in the place of a study file is told with the path, and nothing waits for a pipe."""
    written(tmp_path / "mnist-mlp" / "study.toml", edited().encode())
    path = tmp_path / "mnist-mpl" / "study.toml"
    make(path)
    with pytest.raises(StudyError, match=re.escape(f"{path}: {message}")):
        load(path)


def test_a_link_is_followed_and_a_loop_of_links_is_refused(tmp_path):
    """A link is as good as its file; one that leads to itself cannot be read."""
    written(tmp_path / "one" / "study.toml", edited().encode())
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert load(tmp_path / "two" / "study.toml").name == "two"
    (tmp_path / "one" / "study.toml").unlink()
    (tmp_path / "one" / "study.toml").symlink_to("study.toml")
    with pytest.raises(StudyError, match=r"must be readable\.\nReceived: Too many levels"):
        load(tmp_path / "two" / "study.toml")


def test_a_folder_that_may_not_name_a_study_is_refused(tmp_path):
    """The name is checked before the file is opened."""
    with pytest.raises(StudyError, match="study name: a study's name must match"):
        load(tmp_path / "My Study" / "study.toml")
