"""The README's promises, each to the tests that keep it."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent

PROMISES = {
    "The same study gives the same bytes.": [
        "test_pipeline.py::test_two_clones_give_the_same_lock",
        "test_interrupted.py::test_the_number_of_workers_changes_nothing",
        "test_surroundings.py::test_a_hostile_environment_changes_no_byte",
    ],
    "A cluster changes nothing, and its machines may come and go.": [
        "test_cluster.py",
        "test_cluster_pool.py",
        "test_pools_contract.py",
    ],
    "A stopped search goes on as if nothing had happened.": [
        "test_crash_matrix.py::test_a_study_that_is_interrupted_ends_as_if_it_had_not_been",
        "test_crash_matrix.py::test_no_trial_is_lost_or_doubled",
        "test_pipeline.py::test_more_trials_extend_and_another_space_starts_anew",
    ],
    "Any old trial can be replayed.": ["test_replay.py"],
    "The test split is opened by confirm alone.": [
        "test_interrupted.py::test_test_images_are_not_opened_before_confirm",
        "test_openings.py",
        "test_rounds.py::test_the_winner_is_trained_on_a_second_set_of_seeds",
        "test_champion.py",
    ],
    "An interval of a test result covers other seeds and other test images.": [
        "test_statistics.py::test_the_crossed_interval_covers_the_truth",
        "test_conclusion.py::test_the_difference_is_over_seeds_and_inputs",
        "test_conclusion.py::test_arms_are_compared_as_winner_and_baseline_are",
        "test_benchmarks.py::test_a_winner_that_is_trained_once_more_claims_no_gain_by_how_it_was_chosen",
    ],
    "MLflow and Optuna's storage are views.": [
        "test_interrupted.py::test_a_tracking_server_that_is_away_stops_nothing",
        "test_tracking_outage.py",
        "test_crash_tracking.py",
        "test_views_away.py",
    ],
    "What breaks is found and mended.": [
        "test_repair.py",
        "test_repair_views.py",
        "test_repair_results.py",
        "test_gc.py",
    ],
    "What is wrong is said once.": [
        "test_bad_inputs.py",
        "test_command_line.py::test_check_finds_every_problem_in_one_go",
        "test_study_refused.py",
    ],
}


@pytest.mark.parametrize("promise", PROMISES)
def test_the_readme_makes_no_other_promise(promise: str) -> None:
    """Each promise stands in the README, and each test that keeps it is there."""
    assert f"**{promise}**" in (HERE.parent / "README.md").read_text()
    for kept in PROMISES[promise]:
        file, _, name = kept.partition("::")
        assert name in (HERE / file).read_text()


def test_every_promise_is_kept_by_a_test() -> None:
    """A new line under "What you can rely on" needs a test before this one passes."""
    section = (HERE.parent / "README.md").read_text().split("## What you can rely on")[1].split("\n## ")[0]
    assert section.count("\n- **") == len(PROMISES)
