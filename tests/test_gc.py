"""What gc removes, and that everything which it leaves still works."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from conftest import ONE_ARM, TINY, run_in, write_study
from mending import HEALTHY, dead_pid, record, runs, told

from pipeline.errors import DataError, PipelineError, StoreError
from pipeline.files import held
from pipeline.records.project import Project
from pipeline.records.rows import read_rows
from pipeline.stages.confirm import confirm
from pipeline.stages.gc import gc

pytestmark = pytest.mark.slow


def cleaned(folder: Path, dry_run: bool = False) -> list[str]:
    return list(gc(Project(folder), None, dry_run))


def kept(folder: Path) -> set[str]:
    """Every file below mlruns/searches, but for the lock."""
    root = folder / "mlruns/searches/tiny"
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()} - {"running.lock"}


def test_confirm_keeps_the_weights_of_what_it_measures_alone(ran: Path) -> None:
    """Of the winner, of what it is compared with on val, and the baseline's; nothing reads any others."""
    folder, rows = record(ran, "confirm"), read_rows(ran / "studies/tiny/confirm.csv")
    measured = sum(row["role"] != "baseline" for row in rows)
    (folder / "weights/99.weights.h5").touch()
    confirm(Project(ran), "tiny")
    assert len(list(folder.glob("weights/*"))) == measured == 3 * 6
    assert len(list(record(ran, "baseline").glob("weights/*"))) == 3


def test_confirm_trains_again_what_was_removed(ran: Path) -> None:
    """With its own files gone, and the weights of the baseline, confirm gives the same bytes."""
    names = ("winner/model.weights.h5", "winner/conclusion.json", "confirm.csv")
    places = [ran / "studies/tiny" / name for name in names]
    before = [path.read_bytes() for path in places]
    cleaned(ran)
    for path in (*places, *record(ran, "baseline").glob("weights/*")):
        path.unlink()
    confirm(Project(ran), "tiny")
    assert [path.read_bytes() for path in places] == before
    assert len(list(record(ran, "baseline").glob("weights/*"))) == 3


def test_weights_that_are_not_the_recorded_ones_are_not_measured(ran: Path) -> None:
    """They are refused and removed, and the next confirm trains them again: the same bytes."""
    before = (ran / "studies/tiny/confirm.csv").read_bytes()
    path = record(ran, "baseline") / "weights/0.weights.h5"
    with h5py.File(path, "r+") as file:
        file.visititems(lambda _, part: part.write_direct(-part[()]) if hasattr(part, "dtype") else None)
    with pytest.raises(StoreError, match="must be those that were recorded"):
        confirm(Project(ran), "tiny")
    assert not path.exists()
    confirm(Project(ran), "tiny")
    assert (ran / "studies/tiny/confirm.csv").read_bytes() == before


def test_weights_of_a_training_that_differs_from_its_record_do_not_stay(ran: Path) -> None:
    """However often confirm is tried on labels that were changed, it measures nothing."""
    cleaned(ran)
    before = (ran / "studies/tiny/confirm.csv").read_bytes()
    labels = np.load(ran / "data/tiny/train_labels.npy")
    np.save(ran / "data/tiny/train_labels.npy", (labels + 1) % 4)
    for path in record(ran, "confirm").parent.glob("*/weights/*"):
        path.unlink()
    for _ in range(3):
        with pytest.raises(PipelineError):
            confirm(Project(ran), "tiny")
        assert not list(record(ran, "confirm").parent.glob("*/weights/[0-9]*"))
    assert (ran / "studies/tiny/confirm.csv").read_bytes() == before


def test_what_a_finished_study_needs_is_kept(ran: Path) -> None:
    """Records and the winner's weights stay, logs go; then there is nothing left to remove."""
    cleaned(ran)
    stages = {path.split("-")[0] for path in kept(ran) if path.endswith("record.jsonl")}
    assert stages == {"baseline", "search", "confirm"}
    assert not any(path.endswith(".log") for path in kept(ran))
    # The repeats of the winner, and of the baseline, which the next confirm takes.
    assert len([path for path in kept(ran) if path.endswith(".h5")]) == 6
    assert cleaned(ran) == ["tiny: nothing to remove."]
    assert told(ran) == HEALTHY


def test_a_dry_run_only_says(ran: Path) -> None:
    """The same lines but for what is done, with the same number of bytes, and every file is still there."""
    write_study(ran, "tiny", TINY.replace("seed      = 7", "seed      = 8"))
    before = kept(ran)
    said = cleaned(ran, dry_run=True)
    assert kept(ran) == before
    assert [line.replace("to be ", "").replace("would be", "are") for line in said] == cleaned(ran)
    assert kept(ran) != before


def test_records_of_another_study_are_removed_and_their_runs_are_not(ran: Path) -> None:
    """It says what has changed, how many bytes, and what that costs; MLflow keeps all its runs.

    What counts the openings of the test split stays: test-openings.jsonl.
    """
    num_runs = len(runs(ran))
    write_study(ran, "tiny", TINY.replace("[16, 64], step", "[16, 48], step"))
    done = run_in(ran, "study", "gc", "tiny")
    assert "this has changed since: study.space; its trials can no longer be replayed" in done.stdout
    assert {path.split("-")[0] for path in kept(ran)} == {"baseline", "confirm", "test"}
    assert len(runs(ran)) == num_runs
    assert told(ran) == HEALTHY


def test_an_arm_that_is_compared_no_longer_is_removed(ran: Path) -> None:
    """Its record belongs to no search that the study would make."""
    write_study(ran, "tiny", ONE_ARM)
    said = "".join(cleaned(ran))
    assert said.count("the study has no such arm any more") == 2


def test_what_replays_and_dead_processes_left_is_removed(ran: Path) -> None:
    """But not the only copy of a folder, which the doctor puts back."""
    work, results = ran / "mlruns/searches/tiny", ran / "studies/tiny"
    (work / "replay").mkdir()
    (work / "replay/worker-0.log").touch()
    left = results / f".trials.csv.{dead_pid()}-7.aside"
    left.touch()
    only = results / f".winner.{dead_pid()}-7.old.aside"
    (results / "winner").rename(only)
    cleaned(ran)
    assert not (work / "replay").exists()
    assert (left.exists(), only.exists()) == (False, True)


def test_without_trials_the_records_of_confirm_are_kept(ran: Path) -> None:
    """Which configurations it would retrain is not known then."""
    (ran / "studies/tiny/trials.csv").unlink()
    cleaned(ran)
    assert record(ran, "confirm").is_dir()


def test_a_study_that_is_run_is_refused(ran: Path) -> None:
    """So is a dry run, whose answer would be old at once; nothing is removed."""
    before = kept(ran)
    with held(Project(ran).lock("tiny"), "the study tiny"):
        for dry_run in (True, False):
            with pytest.raises(StoreError, match="the study tiny must not be running"):
                cleaned(ran, dry_run)
    assert kept(ran) == before


def test_without_data_nothing_is_removed(ran: Path) -> None:
    """What is in use depends on them."""
    (ran / "data/tiny/card.json").unlink()
    with pytest.raises(DataError, match="must be prepared"):
        cleaned(ran)
