"""Delivery without MLflow: what a stage promises while the store is away, refuses or lies."""

import threading
from dataclasses import replace

import pytest

from pipeline.tracking import StageFacts, tracker
from pipeline.trial import Outcome, Trial

URI = "http://me:s3cret@tracking.example:5000"
OUTCOME = Outcome(Trial(4, {}, {"epochs": 1}, 1, ("trial", 4)), "complete", ({"loss": 0.5},), 0.5)


class RefusedError(Exception):
    """What MLflow throws at a value that it will never take."""

    error_code = "INVALID_PARAMETER_VALUE"


class Store:
    """Takes runs, unless `trouble` throws first."""

    def __init__(self, trouble=lambda _what: None):
        self.trouble = trouble
        self.taken = []

    def _take(self, what):
        self.trouble(what)
        self.taken.append(what)

    def keep_files(self):
        self._take("files")

    def put(self, entry):
        self._take(entry.name)

    def finish(self, status, *_rest):
        self._take(status)


@pytest.fixture
def opened(monkeypatch, tmp_path):
    """A function from a fake store to a tracker on it; what the tracker says is in its `lines`."""
    monkeypatch.setattr(tracker, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(tracker, "connect", lambda _uri: None)

    def make(store, patience_seconds=20.0):
        monkeypatch.setattr(tracker, "StageRuns", lambda *_arguments: store)
        facts = StageFacts(study="toy", stage="search", key="k")
        lines = []
        made = tracker.Tracker(URI, tmp_path, facts, say=lines.append, patience_seconds=patience_seconds)
        made.lines = lines
        return made

    return make


def away(_what):
    raise ConnectionError(f"API request to {URI}/api/2.0 failed")


def test_what_failed_is_delivered_when_the_store_is_back(opened):
    """Each run that could not be delivered is delivered once, as soon as the store answers again."""
    troubles = iter([OSError(), OSError(), OSError()])

    def trouble(_what):
        for error in troubles:
            raise error

    store = Store(trouble)
    with opened(store) as window:
        window.record(OUTCOME)
    assert sorted(store.taken) == ["FINISHED", "files", "trial-004"]
    assert (window.undelivered, window.lines) == (0, [])


def test_a_store_that_stays_away_costs_one_line(opened):
    """When patience ends, one line says how much is missing, why, and what to do; never a password."""
    with opened(Store(away), patience_seconds=0.0) as window:
        window.record(OUTCOME)
    [line] = window.lines
    assert window.undelivered == 2
    assert line.startswith("2 runs could not be delivered to MLflow at http://***@tracking.example:5000 (")
    assert line.endswith("or by: study sync toy")
    assert "ConnectionError" in line
    assert "s3cret" not in line


def test_training_goes_on_while_the_store_hangs(opened):
    """Recording returns at once although the store does not answer."""
    answer = threading.Event()
    store = Store(lambda _what: answer.wait(60))
    with opened(store) as window:
        for _ in range(1_000):
            window.record(OUTCOME)
        assert window.undelivered > 0
        answer.set()
    assert window.undelivered == 0


def test_a_refused_run_does_not_hold_up_the_others(opened):
    """What MLflow will never take is tried afresh once, then counted; the rest arrives."""
    tries = []

    def trouble(what):
        if what == "odd":
            tries.append(what)
            raise RefusedError("no such value")

    store = Store(trouble)
    with opened(store) as window:
        window.record(OUTCOME, "odd")
        window.record(OUTCOME)
    assert sorted(store.taken) == ["FINISHED", "files", "trial-004"]
    assert (window.undelivered, len(tries)) == (1, 2)
    assert "1 run could not be delivered" in window.lines[0]


def test_recording_never_raises(opened):
    """Even an outcome that makes no sense does not disturb the training: it is counted, not thrown."""
    with opened(Store(), patience_seconds=0.2) as window:
        window.record(replace(OUTCOME, curve=None), "odd")
        window.record(OUTCOME)
    assert window.undelivered == 1


def test_nothing_is_loaded_before_the_first_outcome(opened, monkeypatch):
    """While the trainer loads its framework, no thread loads MLflow beside it."""
    connected = []
    monkeypatch.setattr(tracker, "connect", connected.append)
    with opened(Store()) as window:
        assert connected == []
        window.record(OUTCOME)
    assert connected == [URI]


def test_after_a_failure_the_store_is_looked_at_afresh(opened, monkeypatch):
    """An answer may have been lost after the deed, so what is there is read again before the next try."""
    connected, troubles = [], iter([OSError()])

    def trouble(_what):
        for error in troubles:
            raise error

    monkeypatch.setattr(tracker, "connect", connected.append)
    with opened(Store(trouble)) as window:
        window.record(OUTCOME)
    assert len(connected) == 2
