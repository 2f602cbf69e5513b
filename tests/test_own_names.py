"""Names, values and metrics of a user's own in tables, folders, keys and views: each has its own place."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import outcome, trial
from test_own_model import LAYERS, MODEL, STUDY, opened, project

from pipeline.errors import StudyError
from pipeline.files import write_json
from pipeline.learners.own_code import sources
from pipeline.records import fingerprint
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.records.recorded import LEDGER, Recorded, Task
from pipeline.stages import views
from pipeline.stages.baseline import files_of
from pipeline.tracking.entry import StageFacts, entry_of

OPTUNA = "[search]\ntrials"
KERAS_TUNER = '[search]\nengine = "keras_tuner"\ntrials'


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("width ", "state ", "state: must not be called as a column of the result tables is"),
        ("width ", "val_accuracy ", "val_accuracy: must not be called as a column"),
        ("width ", '"a+b" ', "must be letters, digits, _ . and -, and begin with a letter"),
        ('"none", "batch"]', '"none", ""]', "values that differ as text, none of them empty"),
        ('"none", "batch"]', '"none", 8, "8"]', "values that differ as text, none of them empty"),
        ('maximize = "val_accuracy"', 'maximize = "hits@5"', "the name of a metric must be letters"),
    ],
)
def test_what_no_table_could_tell_apart_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    """Before anything is trained, with the place in the file."""
    with pytest.raises(StudyError) as caught:
        opened(project(tmp_path, study=STUDY.replace(old, new)))
    assert told in str(caught.value)


def test_two_arms_of_one_name_are_refused(tmp_path: Path) -> None:
    """Values with a dash in them, of two compared settings."""
    compared = '[compare]\nnorm = { choice = ["a-b", "a"] }\nkind = { choice = ["c", "b-c"] }\n'
    text = STUDY.replace('norm  = { choice = ["none", "batch"] }', compared)
    with pytest.raises(StudyError, match="two arms must not have one name"):
        opened(project(tmp_path, study=text))


def test_a_value_that_is_named_like_a_second_search_is_refused(tmp_path: Path) -> None:
    """Of several searches of one arm the second is called its name and #2."""
    text = STUDY.replace(
        'norm  = { choice = ["none", "batch"] }', '[compare]\nnorm = { choice = ["a", "a #2"] }'
    )
    text = text.replace("[search]", "[search]\nsearches = 2")
    with pytest.raises(StudyError, match="two arms must not have one name"):
        opened(project(tmp_path, study=text))


def test_keras_tuner_is_given_choices_of_one_kind(tmp_path: Path) -> None:
    """Whole numbers beside others are numbers; text beside numbers is refused, but for Optuna."""
    rates = 'rate = { choice = [0, 0.25] }\nnorm  = { choice = ["none", "batch"] }'
    text = STUDY.replace('norm  = { choice = ["none", "batch"] }', rates).replace(OPTUNA, KERAS_TUNER)
    text = text.replace("width = 8", "width = 8\nrate = 0")
    study = opened(project(tmp_path, study=text))
    [values] = [one.values for one in study.space if one.name == "rate"]
    assert [type(value) for value in (*values.values, study.baseline.configuration["rate"])] == [float] * 3
    mixed = STUDY.replace('"none", "batch"]', '"none", 2]')
    assert opened(project(tmp_path, study=mixed))
    with pytest.raises(StudyError, match="must hold values of one kind"):
        opened(project(tmp_path, study=mixed.replace(OPTUNA, KERAS_TUNER)))


@pytest.mark.parametrize("name", ["seed", "repeats", "trainer", "sources"])
def test_a_hyperparameter_takes_no_other_settings_place_in_the_key(tmp_path: Path, name: str) -> None:
    """Called as a setting of the study is, it changes the baseline's key, and that setting does too."""
    text = STUDY.replace("width", name)
    plans = [
        opened(project(tmp_path, study=changed)).plan()["baseline"]
        for changed in (text, text.replace(f"{name} = 8", f"{name} = 9"), text.replace("= 3", "= 4"))
    ]
    assert len({str(plan) for plan in plans}) == 3


def test_relative_imports_are_in_the_key(tmp_path: Path) -> None:
    """What a package of the project's imports from itself counts, however many levels up."""
    folder = project(tmp_path, model=MODEL.replace("layers_of_mine", "nets")) / "studies/own"
    deep = folder / "nets/deep"
    deep.mkdir(parents=True)
    (folder / "nets/__init__.py").write_text("from .blocks import hidden\n")
    (folder / "nets/blocks.py").write_text(f"from .deep.more import x\n{LAYERS}")
    (deep / "__init__.py").write_text("")
    (deep / "more.py").write_text("from ..sizes import SIZE as x\n")
    (folder / "nets/sizes.py").write_text("SIZE = 1\n")
    found = sources(folder / "model.py", tmp_path)
    names = ("__init__", "blocks", "deep/__init__", "deep/more", "sizes")
    assert [*found] == ["studies/own/model.py", *(f"studies/own/nets/{name}.py" for name in names)]


def test_a_loop_may_report_more_than_the_study_asks_for(tmp_path: Path) -> None:
    """The tables have the study's metrics; MLflow has them all, under names that it takes."""
    study = opened(project(tmp_path))
    one = outcome(0, 0.5)
    more = outcome(0, 0.5, curve=({**one.curve[0], "hits@5": 0.7},))
    assert files_of(study, [more])["baseline.csv"].splitlines()[0].endswith("val_loss,val_accuracy")
    points = entry_of(more, StageFacts("own", "baseline", "key")).points
    assert [(point.metric, point.value) for point in points][:2] == [("val_accuracy", 0.5), ("hits_5", 0.7)]


@pytest.mark.parametrize("arm", ["a/b", "../../evil", "", ".", "x" * 200, "with space", "ä"])
def test_an_arm_of_any_name_keeps_its_record_in_the_studys_folder(arm: str) -> None:
    """Two arms never share a folder, and a plain name is read in it."""
    names = {Task("search", one, {}, 1).folder_name("0123") for one in (arm, f"{arm}?", "plain")}
    assert len(names) == 3
    assert "search-plain-0123" in names
    assert all(
        len(name) < 100 and {"/", " "}.isdisjoint(name) and name.startswith("search-") for name in names
    )


def test_less_patience_tells_fewer_trials_than_are_recorded() -> None:
    """What the last run has told stands beside the record; earlier versions noted how many it were."""
    outcomes = {number: outcome(number, 0.5) for number in range(5)}

    def told(**done: object) -> list[int] | None:
        found = Recorded(Path(), Task("search", "", {}, 5), {}, outcomes, "", done).told
        return None if found is None else [one.trial.number for one in found]

    assert told(num_trials=5, num_outcomes=2, numbers=[0, 1]) == [0, 1]
    assert told(num_trials=5, num_outcomes=5) == [0, 1, 2, 3, 4]
    assert told(num_trials=5, num_outcomes=2) is None
    assert told(num_trials=9, num_outcomes=2, numbers=[0, 7]) is None


def test_a_record_without_an_outcome_owes_no_view(tmp_path: Path) -> None:
    """A search that was stopped before its first trial ended is nothing that MLflow lacks."""
    project(tmp_path)
    facts = {"study": {}, "data": "d"}
    task = Task("search", "search", {}, 5)
    folder = Project(tmp_path).work("own") / task.folder_name(fingerprint.key(facts))
    write_json(folder / "facts.json", facts)
    write_json(folder / "task.json", task.as_dict())
    assert views.owed(Project(tmp_path), "own") == []
    ledger = Ledger(folder / LEDGER)
    ledger.append(outcome(0, 0.5, trial=trial(0)), 1.0)
    assert {view for _, view in views.owed(Project(tmp_path), "own")} == {"mlflow", "optuna"}
