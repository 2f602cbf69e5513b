"""Several searches of each arm: draws of their own, one candidate each, compared over searches."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import assignment, outcome, parse
from findings import FIXED, made
from test_study import STUDY

from pipeline import statistics
from pipeline.engines import open_engine
from pipeline.errors import StudyError
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.records.recorded import Task
from pipeline.report import Findings
from pipeline.report.arms import compared, figure
from pipeline.report.sentences import answers, method
from pipeline.report.tables import candidates
from pipeline.stages.answers import Answers, Contender
from pipeline.stages.contests import contests
from pipeline.stages.status import best

TWO = STUDY.replace("trials = 4", "trials = 4\nsearches = 3") + (
    '[compare]\nsampler = { choice = ["tpe", "random"] }\n'
)
LABELS = np.array([0, 0, 1, 1])


def answered(*predicted: list[int]) -> Answers:
    """Answers of so many repeats on four inputs."""
    return Answers(LABELS, [np.array(one) for one in predicted], [np.zeros(4)] * len(predicted))


def test_each_arm_is_searched_several_times() -> None:
    """The first draws as the only one of an arm would; the plan names each, and not how many there are."""
    study = parse(TWO, "two")
    names = ["tpe", "tpe #2", "tpe #3", "random", "random #2", "random #3"]
    assert [arm.name for arm in study.arms] == names
    assert study.rivals == {"": {"tpe": names[:3], "random": names[3:]}}
    once = parse(TWO.replace("searches = 3", ""), "two")
    assert once.plan()["search"]["arms"] == [study.plan()["search"]["arms"][place] for place in (0, 3)]


@pytest.mark.parametrize("sampler", ["random", "tpe", "qmc"])
def test_searches_of_an_arm_draw_differently(sampler: str) -> None:
    """What is proposed, and what a trial itself draws from."""
    first = assignment("optuna", sampler)
    second = replace(first, arm=replace(first.arm, seed_path=("searches", 1)))
    one, other = (open_engine(each).ask() for each in (first, second))
    assert one is not None
    assert other is not None
    assert one.values != other.values
    assert (one.seed_path, other.seed_path) == (("trial", 0), ("searches", 1, "trial", 0))


def test_more_than_each_searchs_best_is_not_confirmed() -> None:
    """So that all searches have as many candidates."""
    with pytest.raises(StudyError, match=r"\[confirm\] top: must be 1 where arms are searched several times"):
        parse(f"{TWO}[confirm]\ntop = 2\n", "two")


def test_a_comparison_is_over_searches_and_inputs() -> None:
    """A search counts once, by what its best gives for each input over its seeds."""
    study = parse(TWO, "two")
    scores = {"tpe": 0.9, "tpe #2": 0.8, "tpe #3": 0.7, "random": 0.5, "random #2": 0.5, "random #3": 0.2}
    leaders = {name: Contender({}, [outcome(0, score)], Path()) for name, score in scores.items()}
    right, half = answered([0, 0, 1, 1], [0, 0, 1, 0]), answered([0, 1, 0, 1], [0, 0, 0, 0])
    on_val = {id(one): right if name.startswith("tpe") else half for name, one in leaders.items()}
    [told] = contests(study, leaders, on_val)
    ones, others = (np.stack([each.per_input().mean(axis=0)] * 3) for each in (right, half))
    assert told["best"] == "tpe"
    assert told["means"] == pytest.approx({"tpe": 0.8, "random": 0.4})
    assert told["ahead_of"] == {"random": statistics.crossed_interval(ones, others).as_dict()}
    assert told["improvement"] == {"random": None}


def test_a_metric_of_ones_own_is_compared_over_searches_alone() -> None:
    """By Welch's interval of the searches' scores."""
    scores = {"tpe": 0.9, "tpe #2": 0.8, "tpe #3": 0.7, "random": 0.5, "random #2": 0.5, "random #3": 0.2}
    leaders = {name: Contender({}, [outcome(0, score)], Path()) for name, score in scores.items()}
    [told] = contests(parse(TWO, "two"), leaders, {})
    wanted = statistics.welch_interval([0.9, 0.8, 0.7], [0.5, 0.5, 0.2]).as_dict()
    assert told["ahead_of"]["random"] == pytest.approx(wanted)


def confirmed(findings: Findings, *arms: str) -> Findings:
    """The findings with one candidate of each of these searches."""
    one = findings.conclusion["candidates"][0]
    findings.conclusion["candidates"] = [{**one, "arm": arm} for arm in arms]
    return findings


def test_the_answer_is_about_searches() -> None:
    """Means over searches, the interval, and how likely one more search would do better."""
    compare = f'{FIXED}[compare]\nengine = {{ choice = ["optuna", "keras_tuner"] }}'
    findings = made(compare=compare)
    search = findings.study.search.model_copy(update={"searches": 6})
    findings = replace(findings, study=replace(findings.study, search=search))
    findings = confirmed(findings, *findings.arms)
    ahead = {"keras_tuner": {"mean": 0.004, "low": 0.001, "high": 0.007}}
    chance = {"mean": 0.75, "low": 0.4, "high": 1.0, "num_runs": 21}
    group = {"at": "", "best": "optuna", "means": {"optuna": 0.98, "keras_tuner": 0.976}, "ahead_of": ahead}
    findings.conclusion["arms"] = [{**group, "improvement": {"keras_tuner": chance}}]
    assert answers(findings)[-1] == (
        "Compared by engine, over 6 searches of each: what a search of optuna finds has, on fresh seeds, a "
        "validation accuracy of 98.00 %, that of keras_tuner 97.60 % (+0.40 points, 95 % interval +0.10 to "
        "+0.70, over searches and the validation images); this difference is resolved. One more search of "
        "optuna would beat one of keras_tuner with probability 0.75 (95 % interval 0.40 to 1.00; 21 searches "
        "of each would show that)."
    )


def test_arms_that_found_too_little_stay_open() -> None:
    """Where all searches of an arm have failed, and where one has, nothing is ahead of anything."""
    findings = confirmed(replace(made(), study=parse(TWO, "two")), "tpe", "tpe #2", "tpe #3")
    one = {"at": "", "best": "tpe", "means": {"tpe": 0.98}, "ahead_of": {}, "improvement": {}}
    for groups in ([], [one]):
        findings.conclusion["arms"] = groups
        assert compared(findings)[-1] == (
            "Which sampler is better stays open: none of the confirmed candidates is of random or random #2 "
            "or random #3."
        )


def test_pairs_of_searches_are_told_and_drawn_by_their_means() -> None:
    """Over searches, not seeds; a pair without two searches that found anything stays open."""
    text = TWO.replace("[compare]", "[compare]\nhidden_layers = { choice = [1, 2] }")
    findings = replace(made(), study=parse(text, "two"))
    first, second = "1-tpe", "2-tpe"
    ahead = {second: {"mean": 0.004, "low": 0.001, "high": 0.007}}
    group = {"at": "tpe", "best": first, "means": {first: 0.98, second: 0.976}, "ahead_of": ahead}
    findings.conclusion["arms"] = [group]
    assert compared(findings)[-1].endswith("is resolved at tpe (over searches and the validation images).")
    assert [list(line.y) for line in figure(findings).drawn.data] == [[98.0], [97.6]]
    findings.conclusion["arms"] = []
    assert compared(findings)[-1].startswith("Which hidden_layers is better stays open at each sampler")


def test_searches_of_one_arm_are_told_apart() -> None:
    """Without a comparison too: each candidate names its search, and the method says how many there are."""
    findings = made(compare=FIXED)
    search = findings.study.search.model_copy(update={"searches": 2})
    findings = replace(findings, study=replace(findings.study, search=search))
    assert candidates(findings)[1][0].startswith("search, trial ")
    told = " ".join(method(findings))
    assert "Arms search, search #2: engine optuna" in told
    assert "1 candidate of the searches (the best of each) and the baseline" in told


def test_one_search_of_an_engine_is_said_to_be_one() -> None:
    """What is compared then are two configurations."""
    told = answers(made())[-1]
    assert told.endswith("It is of two configurations: other searches would find others ([search] searches).")


def test_each_search_is_found_by_its_record(project: Path) -> None:
    """Also where its name is no folder's: `study best` tells of every search of an arm."""
    file = project / "studies" / "tiny" / "study.toml"
    file.write_text(file.read_text().replace("[search]", "[search]\nsearches = 2"))
    here = Project(project)
    for arm in here.study("tiny").arms:
        folder = here.work("tiny") / Task("search", arm.name, {}, 1).folder_name("0123456789abcdef")
        Ledger(folder / "record.jsonl").append(outcome(0, 0.9), 1.0)
    names = ["optuna", "optuna #2", "keras_tuner", "keras_tuner #2"]
    told = [line for line in best(here, "tiny") if not line.startswith(" ")]
    assert told == [f"{name}: 1 complete trials" for name in names]
