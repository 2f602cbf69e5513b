"""Training processes that crash, run out of memory or are stopped: the search outlives them and says why."""

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fakes import outcome
from test_pool import are_alive, expected, opened, run, scores, trials

from pipeline.errors import StoreError, StudyError
from pipeline.stages.failures import Failures
from pipeline.workers import process

__all__ = ["opened"]
CRASHES = [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, "memory"]


@pytest.fixture
def impatient(monkeypatch):
    """Silence is taken for the end of a process after three seconds."""
    monkeypatch.setenv("STUDY_GIVE_UP_SECONDS", "3")


@pytest.mark.parametrize("by", CRASHES)
def test_a_crash_in_native_code_costs_its_trial_one_try(opened, by):
    """Killed, a bad address, an abort, no memory: trained again in a new process, it ends the same."""
    with opened(1) as pool:
        done = run(pool, trials({}, {"dies": [2], "by": by}, {}))
    assert scores(done) == expected(3)


@pytest.mark.parametrize("by", CRASHES)
def test_a_second_crash_fails_the_trial_by_accident(opened, by):
    """With how its process ended as the reason; the others go on."""
    with opened(1) as pool:
        done = run(pool, trials({}, {"dies": [2, 2], "by": by}, {}))
    ended = "MemoryError: too wide" if by == "memory" else f"exit status {-by}"
    assert done[1].reason.startswith(f"the training process died 2 times ({ended}")
    assert [(one.state, one.is_accident) for one in done][1:] == [("failed", True), ("complete", False)]


@pytest.mark.usefixtures("impatient")
def test_a_process_that_was_stopped_is_given_up(opened):
    """Its trials start again on a new one, with the same result; nothing of it is left."""
    with opened(2) as pool:
        pool.start(trials({"dies": [2], "by": signal.SIGSTOP})[0], 0, 1)
        stopped = [worker.process.pid for worker in pool._workers]
        found = [pool.result(0, epoch).metrics["val_accuracy"] for epoch in (1, 2, 3)]
    assert found == [0.1, 0.2, 0.3]
    assert are_alive(stopped) == []


@pytest.mark.usefixtures("impatient")
def test_a_long_epoch_is_no_silence(opened):
    """A process gives signs of life however long its epoch lasts, as long as it does something."""
    with opened(1) as pool:
        done = run(pool, trials({"works": 5}, epochs=1))
        assert len(pool._workers[0].orders) == 0
    assert done[0].state == "complete"
    assert not done[0].is_accident


@pytest.mark.usefixtures("impatient")
def test_an_epoch_that_does_nothing_is_given_up(opened):
    """A thread that gives signs of life says nothing of an epoch that waits for ever; the others go on."""
    with opened(1) as pool:
        done = run(pool, trials({}, {"seconds": 3600}, {}, epochs=1))
    assert [one.state for one in done] == ["complete", "failed", "complete"]
    assert done[1].reason == "the training process died 2 times (it did nothing for 3 s)"


COORDINATOR = """
import json, sys
from pathlib import Path
from test_pool import trials
from pipeline.workers import Pool
folder, site = sys.argv[1:]
settings = {"folder": folder, "weights_folder": None, "learner": {"kind": "networks"}}
with Pool(settings, [{"PYTHONPATH": site}], Path(folder) / "log") as pool:
    for one in trials({}, {"works": 5}, epochs=1):
        pool.start(one, 0, 1)
    pool.result(0, 1)
    print(pool._workers[0].process.pid, flush=True)
    pool.result(1, 1)
    print(pool._workers[0].process.pid, flush=True)
"""


@pytest.fixture
def coordinator(opened, tmp_path):
    """A process whose one worker is in a long epoch."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", COORDINATOR, str(tmp_path), opened()._places[0]["PYTHONPATH"]]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.usefixtures("impatient")
def test_the_coordinators_own_stop_is_not_its_workers_silence(coordinator):
    """After a stop longer than any silence it hears what was said meanwhile, and gives nobody up."""
    worker = coordinator.stdout.readline()
    coordinator.send_signal(signal.SIGSTOP)
    time.sleep(4)
    coordinator.send_signal(signal.SIGCONT)
    assert coordinator.stdout.readline() == worker


def test_a_stopped_worker_goes_when_its_coordinator_is_killed(coordinator):
    """It cannot see that its orders have ended; the system ends it."""
    worker = int(coordinator.stdout.readline())
    os.kill(worker, signal.SIGSTOP)
    coordinator.kill()
    end = time.monotonic() + 30
    while are_alive([worker]) and time.monotonic() < end:
        time.sleep(0.02)
    assert are_alive([worker]) == []


def test_memory_is_refused_beyond_the_limit():
    """What is already held stays usable; a process that asks for more gets an error, not the machine."""
    code = "from pipeline.workers import process; held = bytearray(2**28); process.hold_to(2**29)\n"
    code += "more = bytearray(2**26); print('small')\n"
    code += "try: bytearray(2**29)\nexcept MemoryError: print('refused')"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ).stdout
    assert said.split() == ["small", "refused"]


@pytest.mark.parametrize("name", ["STUDY_GIVE_UP_SECONDS", "STUDY_WORKER_MEMORY_GB"])
@pytest.mark.parametrize("value", ["0", "-1", "much", "nan", "inf"])
def test_limits_are_positive_numbers(opened, monkeypatch, name, value):
    """Anything else is refused before a process is started."""
    monkeypatch.setenv(name, value)
    with pytest.raises(StudyError, match=f"{name}: must be a positive number.\nReceived: '{value}'."):
        opened(1)


@pytest.mark.parametrize("error", [MemoryError(), OSError(28, "No space left on device")])
def test_the_machines_faults_are_told_from_a_configurations(error):
    """No memory and no space are the machine's; a shape that does not fit is the configuration's."""

    class ResourceExhaustedError(Exception):
        """TensorFlow's own, which stands on none of Python's."""

    assert process.is_accident(error)
    assert process.is_accident(ResourceExhaustedError("OOM when allocating tensor"))
    assert process.is_accident(RuntimeError("RESOURCE_EXHAUSTED: Out of memory"))
    assert not process.is_accident(ValueError("negative dimension"))


def failed(number, **configuration):
    """An outcome that the machine is to blame for."""
    made = outcome(number, state="failed", is_accident=True, reason=f"it broke, {number}")
    return replace(made, trial=replace(made.trial, configuration={"width": number, **configuration}))


def test_accidents_are_kept_when_training_is_seen_to_work(tmp_path):
    """In the order in which they came, before the outcome that shows it."""
    kept = []
    keeper = Failures(kept.append, 3, str(tmp_path))
    good = outcome(2, 0.5)
    for one in (failed(0), failed(1)):
        keeper.keep(one)
    assert kept == []
    keeper.keep(good)
    assert kept == [failed(0), failed(1), good]


def test_three_configurations_in_a_row_end_the_search():
    """The message names the three reasons and the folder; none of the three is kept."""
    kept = []
    keeper = Failures(kept.append, 3, "mlruns/searches/tiny")
    for one in (outcome(0, 0.5), failed(1), failed(2), failed(3, width=2)):
        keeper.keep(one)
    reasons = "trial 1: it broke, 1; trial 3: it broke, 3; trial 4: it broke, 4"
    with pytest.raises(
        StoreError, match=f"mlruns/searches/tiny: .* 3 configurations in a row.\nReceived: {reasons}"
    ):
        keeper.keep(failed(4))
    assert [one.trial.number for one in kept] == [0]


def test_a_trial_that_diverges_is_no_accident(tmp_path):
    """However many in a row: another day they would diverge as well."""
    kept = []
    keeper = Failures(kept.append, 1, str(tmp_path))
    diverged = [outcome(number, state="failed", reason="diverged") for number in range(5)]
    for one in diverged:
        keeper.keep(one)
    assert kept == diverged


@pytest.mark.parametrize("reason", ["KeyError: 1 (model.py, line 13)", "diverged at epoch 1: loss is nan"])
def test_a_baseline_that_fails_ends_its_stage_and_is_not_recorded(tmp_path, reason):
    """All others are compared with it; what is mended outside the record's key is tried again."""
    kept = []
    keeper = Failures(kept.append, 1, str(tmp_path), is_baseline=True)
    keeper.keep(outcome(0, 0.5))
    with pytest.raises(StudyError, match=f"on every fresh seed.\nReceived: repeat 1: {re.escape(reason)}"):
        keeper.keep(outcome(1, state="failed", reason=reason))
    assert [one.trial.number for one in kept] == [0]


def raising(number, reason="ValueError: shapes (7, 3) and (4, 9) do not fit (model.py, line 12)", **more):
    return outcome(number, state="failed", reason=reason, **more)


def test_one_exception_in_the_first_three_trials_ends_the_search(tmp_path):
    """Whatever sizes it names; none of the three is kept, and the message is the exception's."""
    kept = []
    keeper = Failures(kept.append, 3, str(tmp_path), is_new=True)
    keeper.keep(raising(0))
    keeper.keep(raising(1, "ValueError: shapes (5, 3) and (8, 9) do not fit (model.py, line 12)"))
    with pytest.raises(StudyError, match=r"same exception.\nReceived: ValueError: shapes"):
        keeper.keep(raising(2))
    assert kept == []


@pytest.mark.parametrize(
    "other",
    [
        outcome(1, 0.5),
        raising(1, "KeyError: 'width' (model.py, line 3)"),
        raising(1, "diverged at epoch 1: loss is nan"),
        raising(1, "took longer than 5 minutes"),
        raising(1, is_accident=True),
    ],
)
def test_a_first_trial_that_ends_otherwise_lets_the_search_go_on(tmp_path, other):
    """All are kept, in their order."""
    kept = []
    keeper = Failures(kept.append, 3, str(tmp_path), is_new=True)
    given = [raising(0), other, raising(2), raising(3), raising(4)]
    for one in given:
        keeper.keep(one)
    assert kept == given


def test_a_search_that_goes_on_is_not_ended_by_one_exception(tmp_path):
    """It has trained before."""
    kept = []
    keeper = Failures(kept.append, 3, str(tmp_path))
    for number in range(4):
        keeper.keep(raising(number))
    assert len(kept) == 4
