"""What a plan says before training: what can be resolved, from which assumptions, and the cost."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ONE_ARM, run_in, write_study
from fakes import GRID, outcome
from scipy import stats

from pipeline.data import load_card
from pipeline.files import write_json
from pipeline.records import fingerprint
from pipeline.records.ledger import Ledger
from pipeline.records.project import Project
from pipeline.records.recorded import FACTS, LEDGER, TASK
from pipeline.stages import baseline, planning
from pipeline.stages.costs import costliest
from pipeline.stages.prepare import prepare
from pipeline.statistics import smallest_difference
from pipeline.study import DataShape


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of one study in one arm, its data prepared, nothing trained."""
    folder = tmp_path_factory.mktemp("planned")
    write_study(folder, "tiny", ONE_ARM)
    prepare(Project(folder), "tiny")
    return Project(folder)


@pytest.fixture
def recorded(made: Project) -> list[float]:
    """Three repeats of its baseline on record, 2 epochs of half a second each; their accuracies."""
    study, card = made.study("tiny"), load_card(made.data("tiny"))
    task = baseline.task_of(study)
    facts = fingerprint.facts(task.tables, card["sha256"])
    folder = made.work("tiny") / task.folder_name(fingerprint.key(facts))
    write_json(folder / FACTS, facts)
    write_json(folder / TASK, task.as_dict())
    scores, ledger = [0.91, 0.92, 0.93], Ledger(folder / LEDGER)
    for number, score in enumerate(scores):
        one = outcome(number, 0.5, score, seconds=1.0)
        trial = replace(one.trial, configuration=study.baseline.configuration)
        ledger.append(replace(one, trial=trial), 1.0)
    return scores


def test_without_data_what_is_known_is_told(tmp_path: Path) -> None:
    """Trainings and epochs need no data; the rest names the command that makes them. Nothing is written."""
    write_study(tmp_path, "tiny", ONE_ARM)
    before = sorted(tmp_path.rglob("*"))
    told = list(planning.lines(planning.plan(Project(tmp_path), "tiny")))
    assert told[1:4] == [
        "  baseline: 3 trainings, 6 epochs at most.",
        "  search: 8 trainings, 24 epochs at most.",
        # The best, what a quarter and half of the trials found, and the baseline at 3 epochs.
        "  confirm: 12 trainings, 36 epochs at most.",
    ]
    assert told[4].endswith("need the prepared data. Run: study prepare tiny")
    assert sorted(tmp_path.rglob("*")) == before


def test_inputs_and_seeds_have_the_variance_that_is_assumed() -> None:
    """With p = 0.9, r = 0.5 and 400 inputs: 0.09 / 400 of the inputs and twice 0.005² / 5 of the seeds."""
    parts = planning.foretold(planning.Assumed(), 5, 400)
    assert parts.variance == pytest.approx(0.09 / 400 + 2 * 0.005**2 / 5)
    quantiles = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert smallest_difference(parts.at(math.inf)) == pytest.approx(
        quantiles * math.sqrt(0.09 / 400), rel=0.01
    )


def test_without_records_the_assumptions_are_named(made: Project) -> None:
    """The plan says what it takes for granted, and that it cannot tell how long the training takes."""
    planned = planning.plan(made, "tiny")
    told = "\n".join(planning.lines(planned))
    assert "test accuracy 90.00 %, standard deviation over seeds 0.50 points (assumed, no baseline" in told
    assert told.endswith("no training of such a model is recorded on this machine yet.")
    assert [one["minutes"] for one in planned["stages"]] == [None] * 3


def test_costs_are_the_learners(made: Project) -> None:
    """Baseline: repeats times epochs times its cost; the search at the centre, and at most at the widest."""
    study, shape = made.study("tiny"), DataShape.of(load_card(made.data("tiny")))

    def cost(**values) -> int:
        return study.learner.cost({**study.defaults, **values}, shape)

    plain, search, _ = planning.plan(made, "tiny")["stages"]
    assert plain["multiply_adds"] == plain["most"] == 3 * 2 * cost(hidden_units=16)
    assert search["multiply_adds"] == 8 * 3 * cost(hidden_units=48, batch_size=64)
    assert search["most"] == 8 * 3 * max(cost(hidden_units=64, batch_size=size) for size in (32, 64))


def test_the_costliest_corner_is_the_grids() -> None:
    """Of a space with a condition, moving one hyperparameter after another finds the largest cost."""

    def cost(point) -> int:
        return 100 * point.get("filters", 1) + int(10 * point["dropout"])

    assert costliest(GRID, cost) == max(map(cost, GRID.grid() or [])) == 2405


def test_a_recorded_baseline_takes_the_place_of_assumptions(made: Project, recorded: list[float]) -> None:
    """Mean and deviation over seeds are those of its repeats on val, and their seconds give the minutes."""
    planned = planning.plan(made, "tiny")
    assert planned["assumed"]["accuracy"] == pytest.approx(sum(recorded) / 3)
    assert planned["assumed"]["spread"] == pytest.approx(0.01)
    plain, search, _ = planned["stages"]
    workers = min(planned["workers"], 3)
    assert plain["minutes"] == pytest.approx(3 / 60 / workers)
    rate = search["minutes"] * 60 * planned["workers"] / search["multiply_adds"]
    assert rate == pytest.approx(3 / plain["multiply_adds"])
    assert planned["missing"] == ""


def test_a_plan_is_printed_as_json(made: Project) -> None:
    """`study plan NAME --json` prints the plan and nothing else."""
    done = run_in(made.root, "study", "plan", "tiny", "--json")
    assert json.loads(done.stdout)["num_test"] == load_card(made.data("tiny"))["num_images"]["test"]
