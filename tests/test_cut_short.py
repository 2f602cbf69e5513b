"""Files that something outside cut short: recovered, or refused with what to do; never a wrong result."""

from __future__ import annotations

import csv
import gc
import io
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import fakes
import numpy as np
import pytest
from conftest import TINY, copy_project, run_in
from fakes import METRICS, parse
from refusals import study
from test_bad_stores import prepared

from pipeline.data import load, load_card
from pipeline.errors import DataError, StoreError
from pipeline.files import read_json, sha256, write_bytes, write_json
from pipeline.records import recorded
from pipeline.records.ledger import Ledger
from pipeline.records.rows import curve_rows, trial_columns, trial_row, write_rows
from pipeline.stages import freshness
from pipeline.stages.report import _array
from pipeline.stages.selection import candidates
from pipeline.study import DataShape
from pipeline.tracking.optuna_view import OptunaView
from pipeline.tracking.store import connect
from pipeline.trial import Outcome

__all__ = ["prepared", "study"]
slow = pytest.mark.slow


def cuts(path: Path, most: int = 10**9) -> Iterator[int]:
    """The file at `path` cut at every byte, or at `most` of them and its last; whole again afterwards."""
    whole = path.read_bytes()
    for size in sorted({*np.linspace(0, len(whole) - 1, min(most, len(whole))).astype(int), len(whole) - 1}):
        path.write_bytes(whole[:size])
        yield int(size)
    path.write_bytes(whole)


STUDY = parse(TINY.replace("trials   = 5", "trials   = 4"), "tiny")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A study's small result files: two arms, four trials, one of them failed with a reason of two lines."""
    values = {"learning_rate": 0.01, "batch_size": 32, "dropout": 0.125, "hidden_units": 16}
    found = [fakes.outcome(number, 0.5, 0.25 * number) for number in range(3)]
    found.append(fakes.outcome(3, 0.5, state="failed", reason='died:\n"no", memory'))
    trials = [trial_row(arm.name, one, METRICS) | values for arm in STUDY.arms for one in found]
    rows = [
        row
        for arm in STUDY.arms
        for one in found
        for row in curve_rows({"arm": arm.name, "number": one.trial.number}, one, METRICS)
    ]
    write_rows(tmp_path / "trials.csv", trial_columns(STUDY.space, METRICS), trials)
    write_rows(tmp_path / "curves.csv", ["arm", "number", "epoch", *METRICS], rows)
    return tmp_path


def test_whole_results_are_taken(results: Path) -> None:
    """So each refusal below is for its own cut."""
    freshness.check_trials(results, "tiny")
    assert len(candidates(STUDY, results / "trials.csv")) == 2


@pytest.mark.parametrize("name", ["trials.csv", "curves.csv"])
def test_trials_cut_at_any_byte_are_refused(results: Path, name: str) -> None:
    """Also between two lines, where the file looks whole: the two files count the same epochs."""
    for _ in cuts(results / name):
        with pytest.raises(DataError, match="Run: study search tiny"):
            freshness.check_trials(results, "tiny")


def test_a_table_cut_at_any_byte_is_refused(results: Path) -> None:
    """baseline.csv and confirm.csv must have as many rows as the study says."""
    num_rows = len(list(csv.DictReader(io.StringIO((results / "trials.csv").read_text()))))
    freshness.check_count(results / "trials.csv", num_rows, "confirm", "tiny")
    for _ in cuts(results / "trials.csv"):
        with pytest.raises(DataError, match="Run: study confirm tiny"):
            freshness.check_count(results / "trials.csv", num_rows, "confirm", "tiny")


def test_json_cut_at_any_byte_is_whole_or_refused(tmp_path: Path) -> None:
    """facts.json, task.json, conclusion.json: without the last line break a file says the same."""
    facts = {"study": {"seed": 7, "name": "näme"}, "data": "ab" * 32, "list": [1, 2.5, None]}
    path = tmp_path / "facts.json"
    write_json(path, facts)
    whole = path.stat().st_size
    for size in cuts(path):
        try:
            assert read_json(path, "Mend it.") == facts
        except StoreError as error:
            assert "must be as it was written.\n" in str(error)  # noqa: PT017  a whole file raises nothing
        else:
            assert size == whole - 1


def test_the_end_of_a_search_cut_at_any_byte_is_whole_or_refused(tmp_path: Path) -> None:
    """done.json says how long a search took; damaged, it does not count as nothing."""
    recorded.finish(tmp_path, 8, range(8), 61.5)
    for _ in cuts(tmp_path / "done.json"):
        with suppress(StoreError):
            assert recorded.elapsed_seconds(tmp_path) == 61.5


def test_a_record_cut_at_any_byte_keeps_whole_lines(tmp_path: Path) -> None:
    """record.jsonl loses the outcome that was cut and those after it, and changes none."""
    ledger = Ledger(tmp_path / "record.jsonl")
    for number in range(3):
        ledger.append(fakes.outcome(number, 0.5), 1.0)
    for size in cuts(ledger.path):
        found = Ledger(ledger.path).outcomes
        assert found == {number: ledger.outcomes[number] for number in range(len(found))}
        assert len(found) == ledger.path.read_bytes().count(b"\n"), size


@pytest.mark.parametrize("name", ["card.json", "train_images.npy", "val_labels.npy"])
def test_prepared_data_cut_at_any_byte_are_whole_or_refused(prepared: Path, name: str) -> None:
    """With the command that prepares them again."""
    folder = prepared / "data/tiny"
    whole = load_card(folder), load(folder, ("train", "val"))
    for _ in cuts(folder / name):
        try:
            card, splits = load_card(folder), load(folder, ("train", "val"))
        except DataError as error:
            assert "Run `study prepare tiny`" in str(error)  # noqa: PT017  a whole file raises nothing
        else:
            assert card == whole[0]
            assert all(np.array_equal(splits[one].inputs, whole[1][one].inputs) for one in splits)


def test_misclassified_images_cut_at_any_byte_are_refused(tmp_path: Path) -> None:
    """With the command that writes them again."""
    content = io.BytesIO()
    np.save(content, np.zeros((3, 8, 8, 1), np.uint8))
    write_bytes(tmp_path / "misclassified_images.npy", content.getvalue())
    for _ in cuts(tmp_path / "misclassified_images.npy"):
        with pytest.raises(DataError, match="Run: study confirm tiny"):
            _array(tmp_path / "misclassified_images.npy", "tiny")


def test_an_optuna_storage_cut_anywhere_is_not_written_to(tmp_path: Path) -> None:
    """It is said, and made again once it is moved away; an empty file is a new storage."""
    path, tables = tmp_path / "optuna.db", fakes.tables(fakes.assignment())
    OptunaView(f"sqlite:///{path}", "tiny", tables, {}).close()
    for size in cuts(path, 12):
        if size:
            with pytest.raises(Exception, match=r"malformed|not a database|cut short|disk image"):
                OptunaView(f"sqlite:///{path}", "tiny", tables, {})
            assert path.stat().st_size == size


@slow
@pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning")
def test_an_mlflow_database_cut_anywhere_is_not_written_to(tmp_path: Path) -> None:
    """It is said, and made again once it is moved away; an empty file is a new database."""
    path = tmp_path / "mlflow.db"
    connect(f"sqlite:///{path}")
    for size in cuts(path, 60):
        if size:
            with pytest.raises(sqlite3.DatabaseError):
                connect(f"sqlite:///{path}")
            assert path.stat().st_size == size


@slow
def test_weights_cut_anywhere_are_refused(tmp_path: Path) -> None:
    """The winner is never measured with a part of its weights; the folder to remove is named."""
    from pipeline.learners.networks import NETWORKS
    from pipeline.training.framework import set_up

    # Once a model is made, TensorFlow's threads cannot be set any more.
    set_up(1)
    configuration, path = STUDY.baseline.configuration, tmp_path / "confirm-1/weights/0.weights.h5"
    path.parent.mkdir(parents=True)
    made = NETWORKS.build(configuration, (8, 8, 1), 10, lambda _: 1)
    made.save_weights(path)
    NETWORKS.restore(configuration, DataShape((8, 8, 1), 10, 0, 0), path)
    for _ in cuts(path, 12):
        with pytest.raises(
            StoreError, match=r"must be as they were written\.\nReceived: .*Remove the folder"
        ):
            NETWORKS.restore(configuration, DataShape((8, 8, 1), 10, 0, 0), path)


@slow
@pytest.mark.parametrize("name", ["dvc.lock", "studies/tiny/plan.json"])
def test_what_dvc_reads_cut_anywhere_is_recovered_or_named(tmp_path: Path, name: str) -> None:
    """`dvc repro` makes the same data again, or names the file, which git restores."""
    folder = copy_project(tmp_path)
    assert run_in(folder, "dvc", "repro", "prepare@tiny").returncode == 0
    card, whole = sha256(folder / "data/tiny/card.json"), (folder / name).read_bytes()
    for _ in cuts(folder / name, 4):
        done = run_in(folder, "dvc", "repro", "prepare@tiny")
        assert sha256(folder / "data/tiny/card.json") == card
        if done.returncode:
            assert "dvc.lock" in done.stdout
            (folder / name).write_bytes(whole)
            assert run_in(folder, "dvc", "repro", "prepare@tiny").returncode == 0


@slow
def test_keras_tuners_own_files_mean_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its oracle's files, cut after every trial, change no trial, and none of them is left behind."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def search(keep: Callable[[Outcome], None]) -> list[Outcome]:
        return fakes.loop(fakes.assignment("keras_tuner", "random", trials=6), keep=keep).run()

    def cut(_: Outcome) -> None:
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert files
        for path in files:
            path.write_bytes(path.read_bytes()[:20])

    assert search(cut) == search(lambda _: None)
    gc.collect()
    assert not list(tmp_path.iterdir())
