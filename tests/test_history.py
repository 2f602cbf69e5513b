"""What a run says of earlier ones, and what makes it start anew."""

import json
import os
from types import SimpleNamespace

import pytest
from fakes import outcome

from pipeline.files import write_json
from pipeline.records import fingerprint, recorded
from pipeline.records.ledger import Ledger
from pipeline.records.recorded import Task
from pipeline.stages.context import _Watch

FACTS = {"study": {"seed": 1, "space": ["dropout"]}, "data": "d1", "packages": {"keras": "3"}, "code": "c1"}


@pytest.fixture
def folder(tmp_path):
    """The folder of a search that has been run before."""
    return past(tmp_path / "search-relu-00ff", FACTS)


def past(folder, facts, seconds=0):
    """A folder that an earlier run has left, so many seconds ago."""
    write_json(folder / "facts.json", facts)
    os.utime(folder / "facts.json", (1e9 - seconds, 1e9 - seconds))
    return folder


def sentence(folder, num_recorded, num_trials, facts=FACTS):
    return recorded.sentence("search", "relu", folder, facts, num_recorded, num_trials)


def test_the_first_run_starts(tmp_path):
    """Nothing is there, so nothing has changed."""
    assert sentence(tmp_path / "search-relu-00ff", 0, 9) == "search relu: starts; 9 trials."


def test_a_run_that_was_stopped_goes_on(folder):
    """It is told from a finished one by what the end of a run writes."""
    assert sentence(folder, 4, 9) == (
        "search relu: goes on where it was stopped; 4 of 9 trials are recorded."
    )
    assert not recorded.is_finished(folder)


def test_a_finished_run_is_not_repeated(folder):
    """All its trials are there."""
    recorded.finish(folder, 9, range(9), 60.0)
    assert sentence(folder, 9, 9) == "search relu: all 9 trials are recorded; nothing is trained again."
    assert recorded.is_finished(folder)


def test_more_trials_extend_a_finished_run(folder):
    """Also when the extension itself was stopped in the middle."""
    recorded.finish(folder, 9, range(9), 60.0)
    assert sentence(folder, 11, 20) == "search relu: extends the finished search of 9 trials to 20."


def test_fewer_trials_need_no_training(folder):
    """A longer search begins with the shorter one."""
    recorded.finish(folder, 20, range(20), 60.0)
    assert sentence(folder, 20, 9) == "search relu: all 9 trials are recorded; nothing is trained again."


def test_a_run_that_ended_early_may_go_on(folder):
    """Time, patience or the space may have ended it; the study as it is now decides."""
    recorded.finish(folder, 20, range(9), 60.0)
    assert sentence(folder, 9, 20) == (
        "search relu: ended with 9 of 20 trials; goes on if the study now has more time, patience or values."
    )


def test_a_change_starts_anew_and_is_named(folder):
    """Table and key, package or data: whatever is not as it was."""
    changed = {**FACTS, "study": {"seed": 2, "space": ["dropout", "zoom"]}, "data": "d2"}
    assert sentence(folder.with_name("search-relu-11ee"), 0, 9, changed) == (
        "search relu: starts anew, because this has changed since the last time: "
        "data, study.seed, study.space."
    )


def test_the_last_run_is_the_one_that_is_compared_with(folder):
    """Of several, the youngest; not those of other arms."""
    past(folder.with_name("search-relu-22dd"), {**FACTS, "code": "c2"}, seconds=-60)
    past(folder.with_name("search-tanh-33cc"), {**FACTS, "data": "d3"}, seconds=-99)
    changed = {**FACTS, "code": "c4"}
    assert sentence(folder.with_name("search-relu-11ee"), 0, 9, changed).endswith("last time: code.")


def test_an_arm_whose_name_begins_alike_is_another_arm(tmp_path):
    """The name of an arm may hold dashes; only the last one parts it from the key."""
    past(tmp_path / "search-relu-6-00ff", {**FACTS, "data": "d3"})
    assert sentence(tmp_path / "search-relu-11ee", 0, 9) == "search relu: starts; 9 trials."


@pytest.mark.parametrize("arm", ["[ab]", "*", "?", "a[", "**"])
def test_the_name_of_an_arm_is_no_pattern(tmp_path, arm):
    """It stands for itself alone: its own runs are found, and no others."""
    past(tmp_path / "search-a-22dd", {**FACTS, "data": "d3"})
    now = tmp_path / f"search-{arm}-11ee"
    assert sentence(now, 0, 9) == "search relu: starts; 9 trials."
    past(tmp_path / f"search-{arm}-00ff", {**FACTS, "code": "c2"})
    assert sentence(now, 0, 9).endswith("last time: code.")


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 2}, "a"),
        ({"a": {"b": 1, "c": 1}}, {"a": {"b": 1, "c": 2}}, "a.c"),
        ({"a": {"b": 1}}, {"a": {}}, "a.b"),
        ({"a": {"b": {"c": 1, "d": 1}}}, {"a": {"b": {"c": 2, "d": 1}}}, "a.b.c"),
        ({}, {"a": {"b": 1}}, "a"),
        ({"a": {"b": 1}}, {"a": 1}, "a"),
    ],
)
def test_a_difference_is_named_by_its_place(old, new, named):
    """What was added and what was removed count as changed."""
    assert fingerprint.difference(old, new) == named


def test_facts_are_the_same_when_they_are_read_back():
    """A tuple among a study's settings is no change."""
    facts = fingerprint.facts({"space": ({"low": 1e-4},), "seed": 1}, "d1")
    assert json.loads(json.dumps(facts)) == facts
    assert fingerprint.difference(json.loads(json.dumps(facts)), facts) == ""
    assert fingerprint.key(facts) == fingerprint.key(json.loads(json.dumps(facts)))


def test_another_setting_is_another_key():
    """So is other data."""
    keys = {fingerprint.key(fingerprint.facts({"seed": seed}, data)) for seed in (1, 2) for data in "de"}
    assert len(keys) == 4


@pytest.fixture
def watched():
    """A function that watches a search with a budget of one minute, of which so much is spent."""

    def watched(ledger, minutes=1.0):
        task = Task("search", "relu", {}, 9, minutes=minutes)
        progress = SimpleNamespace(ended=lambda _: None)
        return _Watch(task, ledger, dict(ledger.outcomes), progress)

    return watched


def test_what_is_recorded_has_been_paid_for(folder, watched):
    """A budget of time that is spent lets the recorded trials be played, and no further one be trained."""
    ledger = Ledger(folder / "record.jsonl")
    for number in range(3):
        ledger.append(outcome(number, 0.5), 61.0)
    watch = watched(Ledger(ledger.path))
    assert [watch.is_time_up(count) for count in (0, 2, 3, 4)] == [False, False, True, True]
    assert not watched(Ledger(ledger.path), minutes=2.0).is_time_up(3)
    assert not watched(Ledger(ledger.path), minutes=None).is_time_up(3)


def test_time_that_a_finished_run_took_stays_spent(folder, watched):
    """Its end may have come long after its last outcome: run again, it does not train on."""
    ledger = Ledger(folder / "record.jsonl")
    ledger.append(outcome(0, 0.5), 30.0)
    assert not watched(Ledger(ledger.path)).is_time_up(1)
    recorded.finish(folder, 9, range(1), 61.0)
    assert watched(Ledger(ledger.path)).is_time_up(1)


def test_an_outcome_that_was_recorded_keeps_its_seconds(folder, watched):
    """Played from the record, a trial is as long as it was when it was trained."""
    ledger, seen = Ledger(folder / "record.jsonl"), []
    ledger.append(outcome(0, 0.5, seconds=2.5), 30.0)
    watch = watched(Ledger(ledger.path))
    watch.views = [SimpleNamespace(put=lambda one: seen.append(one.seconds))]
    watch.keep(outcome(0, 0.5, seconds=2.4999999))
    assert seen == [2.5]
