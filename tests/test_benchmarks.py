"""The benchmark of whole searches: one list for all, and figures that end in a table and a chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fakes import load, parse

from benchmarks import coverage, floor
from benchmarks.growth import stretches
from benchmarks.peers import summary, workload
from benchmarks.peers.chart import chart
from benchmarks.peers.contestants import CONTESTANTS
from benchmarks.target import __main__ as target
from benchmarks.target import results as target_results
from benchmarks.target.results import Search, steps
from pipeline.stages.create import num_in_flight
from pipeline.study import template

SVG = "{http://www.w3.org/2000/svg}"


def _run(name: str, rate: float) -> dict[str, Any]:
    figures = {"seconds": 7200 / rate, "cpu_seconds": 10.0, "largest_mb": 900.0, "all_mb": 0.0}
    return {"name": name, "trials_per_hour": rate, **figures, "val_accuracy": [0.97, 0.98]}


@pytest.fixture
def results() -> dict[str, Any]:
    """What three rounds of two contestants gave."""
    rates = {"keras_tuner": (200.0, 250.0, 300.0), "ours_tensorflow": (3000.0, 2500.0, 3500.0)}
    runs = [_run(name, rate) for name, found in rates.items() for rate in found]
    return {
        **summary.summarize(runs),
        "floor": {"cpu_seconds": 2.5, "trials_per_hour": 5760.0},
        "not_measured": {"ray_tune": "not installed"},
        "machine": {"processor": "A <fast> one", "cores": 2, "accelerators": "none"},
        "versions": {"python": "3.11"},
        "settings": {"dataset": "mnist", "trials": 2, "epochs": 5, "num_train": 48000, "num_val": 12000},
    }


def test_the_list_is_the_same_twice_and_a_longer_one_begins_with_it(tmp_path: Path) -> None:
    """Whoever measures again trains the same configurations."""
    space = workload.space(tmp_path)
    assert workload.draw(space, 12) == workload.draw(space, 12)
    assert workload.draw(space, 20)[:12] == workload.draw(space, 12)


def test_the_list_lies_inside_the_space_and_is_a_study(tmp_path: Path) -> None:
    """The project's own check accepts the list as the configurations that a search starts with."""
    space = workload.space(tmp_path)
    drawn = workload.draw(space, 40)
    assert all(entry.values.holds(row[entry.name]) for row in drawn for entry in space)
    workload.write_project(tmp_path, workload.study_text("mnist", 5, drawn))
    search = load(tmp_path / "studies" / workload.STUDY / "study.toml").search
    assert (search.start_with, search.trials) == (drawn, 40)


def test_figures_are_medians_with_their_ranges(results: dict[str, Any]) -> None:
    """Three repeats give a median, the lowest and the highest."""
    expected = {"median": 3000.0, "low": 2500.0, "high": 3500.0, "repeats": 3}
    assert results["trials_per_hour"]["ours_tensorflow"] == expected
    assert results["repeats"] == 3


def test_table_has_a_row_for_each_contestant(results: dict[str, Any]) -> None:
    """Measured ones with their ratio to Keras Tuner, the others with the reason."""
    rows = [line for line in summary.table(results).splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert "3,000 (2,500–3,500) | 12.0 |" in rows[-2]
    assert "| 10.0 (10.0–10.0) | 4.0 |" in rows[-2]
    assert rows[-1].startswith("| Ray Tune around fit | not installed |")


def test_chart_is_an_svg_with_a_bar_for_each_contestant(results: dict[str, Any]) -> None:
    """Bars are as long as their medians, and all lies inside the picture."""
    drawing = ElementTree.fromstring(chart(results))  # noqa: S314  it was written a line above
    bars = [float(bar.get("width", 0)) for bar in drawing.findall(f"{SVG}rect")[1:]]
    assert bars[1] / bars[0] == pytest.approx(3000 / 250, rel=0.01)
    words = [text.text or "" for text in drawing.findall(f"{SVG}text")]
    assert {CONTESTANTS[name].title for name in results["trials_per_hour"]} <= set(words)
    assert "3,000 (2,500–3,500)" in words
    assert all(
        float(text.get("y", 0)) < float(drawing.get("height", 0)) for text in drawing.iter(f"{SVG}text")
    )


def test_accuracies_say_how_far_the_means_lie_apart(results: dict[str, Any]) -> None:
    """Equal accuracies lie 0 percentage points apart."""
    row = {"hidden_layers": 1, "hidden_units": 64, "batch_size": 32, "learning_rate": 0.001, "dropout": 0.2}
    words = summary.accuracies([row, row], results["val_accuracy"])
    assert "0.00 percentage points" in words
    assert "1×64 batch 32 rate 0.001 dropout 0.2" in words


def test_the_floor_counts_each_product_and_each_step_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One multiply-add and one byte a second: the seconds are the numbers of both."""
    monkeypatch.setattr(floor, "product_rate", lambda *_: 1.0)
    monkeypatch.setattr(floor, "byte_rate", lambda: 1.0)
    shape = {"batch_size": 32, "hidden_units": 100, "hidden_layers": 2}
    inner = 100 * 100 + 100 * 10
    products = 60 * (78_400 + inner) + 50 * (78_400 + 2 * inner)
    assert floor.epoch(shape, 50, 10) == (products, 2 * 36 * (785 * 100 + 101 * 100 + 101 * 10))


def test_growth_is_told_by_stretches_of_the_search() -> None:
    """Trials that take one second each up to the hundredth, and two from there on."""
    elapsed = [float(min(n, 100) + 2 * max(0, n - 100)) for n in range(1, 201)]
    assert list(stretches(elapsed)) == [(10, 30, 1.0), (30, 100, 1.0), (100, 200, 2.0)]


def test_the_target_is_sought_with_the_study_that_a_new_user_has() -> None:
    """Its space is the peers', its search the template's."""
    sought = parse(target.study_text("mnist", 7), "peers")
    new = parse(template("new"), "new")
    assert (sought.dataset.name, sought.seed, sought.arms[0].epochs) == ("mnist", 7, target.EPOCHS)
    assert sought.search == new.search.model_copy(update={"trials": 1000, "parallel": num_in_flight()})
    peers = parse(workload.study_text("mnist", 1, []), "peers").space
    assert set(sought.space) == set(peers)


def test_a_target_is_held_from_the_first_accuracy_that_is_not_below_it() -> None:
    """Seconds count from the start of the process; a target that nothing reached has none."""
    seen = [(0.970, 103.0), (0.9805, 110.0), (0.976, 112.0)]
    found = Search("optuna", 1, steps(seen, 100.0))
    assert found.steps == [(3.0, 0.97), (10.0, 0.9805)]
    assert [found.seconds_to(aim) for aim in (0.975, 0.980, 0.982)] == [10.0, 10.0, None]


@pytest.fixture
def searches() -> list[Search]:
    """Three searches: two hold 98.0 %, one of them 98.2 %."""
    found = [[(9.0, 0.98)], [(4.0, 0.96)], [(5.0, 0.981), (7.0, 0.9825)]]
    return [Search("optuna", seed, one) for seed, one in enumerate(found)]


def test_a_search_that_did_not_get_there_counts_as_the_longest(searches: list[Search]) -> None:
    """The median is not taken over the lucky ones alone; where most did not get there, there is none."""
    summary = target_results.summarize(searches, 60.0)["optuna"]
    common = {"searches": 3, "ended_after": 60.0}
    assert summary["0.980"] == {"median": 9.0, "low": 5.0, "high": 9.0, "reached": 2, **common}
    assert summary["0.982"] == {"median": None, "low": 7.0, "high": 7.0, "reached": 1, **common}
    told = target_results.table({"optuna": summary}, target.TITLES, "A machine.")
    assert "| 9 (5–9), 2 of 3 | 9 (5–9), 2 of 3 | more than 60 (7–7), 1 of 3 |" in told


def test_the_picture_of_searches_is_the_same_file_each_time(searches: list[Search]) -> None:
    """One line a search; one that saw no epoch end has none."""
    several = [*searches, Search("keras_tuner", 1, [])]
    drawn = target_results.chart(several, target.TITLES, 60.0)
    assert drawn == target_results.chart(several, target.TITLES, 60.0)
    assert ElementTree.fromstring(drawn).tag == f"{SVG}svg"  # noqa: S314  it was written a line above
    assert "Optuna, TPE and median pruner" in drawn
    assert "Hyperband" not in drawn


def test_a_winner_that_is_trained_once_more_claims_no_gain_by_how_it_was_chosen() -> None:
    """Of 400 made-up studies with equal candidates at most 2.5 % and its noise; as chosen more do."""
    held, claimed, as_chosen = coverage.shares(coverage.WORLDS["strong seeds"], 5, 1_000, 400)
    assert held >= 0.93
    assert claimed <= 0.04 < as_chosen
