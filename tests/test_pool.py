"""Worker processes: one that dies is replaced, none is left behind. A fake program lets them start fast."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fakes import outcome

from pipeline.search import Listed, Loop, Rules
from pipeline.trial import Trial
from pipeline.workers import Pool, VirtualTrainer

# Python imports a module of this name when it starts: it puts a fake where the worker looks for its program.
SITE = '''
import json, os, signal, sys, time, types
from pathlib import Path

class Program:
    """Epoch k of a trial scores its width and k; what its configuration asks for goes wrong at that epoch."""

    def __init__(self, folder, slots):
        self.folder, self.slots, self.trials, self.done = Path(folder), slots, {}, {}

    def start(self, trial):
        self.trials[trial.number], self.done[trial.number] = trial.configuration, 0

    def epochs(self, numbers):
        if self.slots > 1:
            with (self.folder / "calls").open("a") as calls:
                print(*sorted(self.trials[number]["width"] for number in numbers), file=calls)
        return {number: self.epoch(number) for number in numbers}

    def epoch(self, number):
        asked = self.trials[number]
        self.done[number] += 1
        time.sleep(asked.get("seconds", 0))
        until = time.monotonic() + asked.get("works", 0)
        while time.monotonic() < until:
            pass
        first_only = self.folder / f"{asked['width']}-moody"
        if asked.get("is_moody") and self.done[number] == 2 and not first_only.exists():
            first_only.write_text(str(os.getpid()))
            raise ValueError("this process is broken")
        if asked.get("raises") == self.done[number]:
            raise ValueError("too wide\\nby far")
        deaths = list(self.folder.glob(f"{asked['width']}-death-*"))
        if asked.get("dies", [])[len(deaths):][:1] == [self.done[number]]:
            (self.folder / f"{asked['width']}-death-{len(deaths)}").touch()
            if asked.get("by") == "memory":
                raise MemoryError("too wide")
            os.kill(os.getpid(), asked.get("by", signal.SIGKILL))
        height = min(self.done[number], 2 * asked.get("peak", 99) - self.done[number])
        return {"val_accuracy": asked["width"] + height / 10, "chance": len(asked)}

    def digest(self, number):
        return f"the weights of {number}"

    def save(self, number, path):
        at = f" at {self.done[number]}" if "peak" in self.trials[number] else ""
        path.write_text(f"{self.trials[number]['width']}{at}")

    def drop(self, number):
        self.trials.pop(number, None)

def open_program(builder, settings):
    if settings.get("problem"):
        from pipeline.errors import DataError
        raise DataError.of("the data must be prepared first.", "nothing there", "Prepare them.", "data/tiny")
    if settings.get("crash"):
        raise ValueError("our own mistake")
    print("a library greets")
    silent = Path(settings["folder"]) / "silent"
    if silent.exists():
        silent.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)
    return Program(settings["folder"], settings.get("slots", 1)), "a fake"

fake = types.ModuleType("pipeline.training.framework")
fake.open_program = open_program
sys.modules["pipeline.training.framework"] = fake
'''


def placed(folder, num_workers):
    """What workers with the fake program are told, and the environment of each."""
    site = folder / "site" / "sitecustomize.py"
    site.parent.mkdir(exist_ok=True)
    site.write_text(SITE)
    settings = {"folder": str(folder), "learner": {"kind": "networks"}, "weights_folder": str(folder)}
    return settings, [{"PYTHONPATH": f"{site.parent}:{Path.cwd()}"}] * num_workers


@pytest.fixture
def opened(tmp_path):
    """A function that opens a pool of so many workers with the fake program."""

    def opened(num_workers=2, trial_minutes=None, **settings):
        own, places = placed(tmp_path, num_workers)
        return Pool({**own, **settings}, places, tmp_path / "log", trial_minutes)

    return opened


def trials(*configurations, epochs=3):
    return [
        Trial(number, {}, {"width": number, **configuration}, epochs, ("trial", number))
        for number, configuration in enumerate(configurations)
    ]


def run(pool, listed, parallel=3, watch=lambda _: None, at="last"):
    """The outcomes of the trials, by number; each costs as much as any other."""
    rules = Rules("val_accuracy", True, parallel, at=at)
    trainer = VirtualTrainer(pool, lambda _: 1)
    done = Loop(Listed(listed), trainer, rules, lambda _: None, watch).run()
    return sorted(done, key=lambda one: one.trial.number)


def scores(outcomes):
    return [[round(10 * metrics["val_accuracy"]) for metrics in one.curve] for one in outcomes]


def expected(num_trials, epochs=3):
    return [[10 * number + epoch for epoch in range(1, epochs + 1)] for number in range(num_trials)]


def test_nothing_starts_before_there_is_something_to_train(opened):
    """A search that is all recorded starts no worker."""
    with opened() as pool:
        listed = trials({}, {})
        recorded = {one.number: outcome(one.number, 0.1, 0.2, 0.3, trial=one) for one in listed}
        trainer = VirtualTrainer(pool, lambda _: 1, recorded)
        done = Loop(Listed(listed), trainer, Rules("val_accuracy", True, 2), lambda _: None).run()
        assert pool._workers == []
    assert [one.score for one in done] == [0.3, 0.3]


def test_a_worker_that_falls_silent_while_it_starts_is_replaced(opened, monkeypatch):
    """By one that starts; no trial is blamed for it."""
    # Longer than a worker of the fake takes to start on a busy machine.
    monkeypatch.setenv("STUDY_GIVE_UP_SECONDS", "5")
    with opened(1) as pool:
        (Path(pool._settings["folder"]) / "silent").touch()
        done = run(pool, trials({}, {"dies": [2]}))
    assert scores(done) == expected(2)


def test_trials_in_flight_share_a_call_where_the_program_can(opened):
    """All that wait are offered together, so that no seat stays empty while others wait."""
    with opened(1, slots=4) as pool:
        done = run(pool, trials(*[{}] * 6, epochs=4), parallel=4)
        calls = (Path(pool._settings["folder"]) / "calls").read_text().split("\n")
    assert scores(done) == expected(6, epochs=4)
    assert "0 1 2 3" in calls
    assert max(len(call.split()) for call in calls) == 4


@pytest.mark.parametrize("wrong", [{"raises": 2}, {"dies": [2, 2, 2]}])
def test_a_call_of_several_that_fails_ends_its_worker_and_fails_that_trial_alone(opened, wrong):
    """Whose fault it was shows when they are trained one a call, from their first epoch; others end well."""
    with opened(1, slots=3) as pool:
        done = run(pool, trials({}, {}, wrong, {}, epochs=4), parallel=4)
    assert [one.state for one in done] == ["complete", "complete", "failed", "complete"]
    assert scores(done)[:2] + scores(done)[3:] == [expected(4, 4)[number] for number in (0, 1, 3)]


def are_alive(pids):
    """Those processes that still run; a zombie does not."""
    states = {pid: Path(f"/proc/{pid}/stat") for pid in pids}
    return [
        pid
        for pid, stat in states.items()
        if stat.exists() and stat.read_text().split(")")[-1].split()[0] != "Z"
    ]


def test_a_pool_leaves_nothing_behind(opened):
    """No process, no thread, no open pipe, also when it is closed in the middle of its work."""
    before = threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))
    with opened(2) as pool:
        for one in trials({"dies": [1]}, {"seconds": 60}):
            pool.start(one, 0, 1)
        pool.result(0, 1)
        pids = [worker.process.pid for worker in pool._workers]
        assert are_alive(pids) == pids
    assert are_alive(pids) == []
    assert (threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))) == before


COORDINATOR = """
import json, sys, time
from pathlib import Path
from test_pool import trials
from pipeline.workers import Pool
settings, site = json.loads(sys.argv[1]), sys.argv[2]
pool = Pool(settings, [{"PYTHONPATH": site}] * 2, Path(settings["folder"]) / "log")
for one in trials({}, {}, {"seconds": 60}, {"seconds": 60}):
    pool.start(one, 0, 1)
pool.result(0, 1), pool.result(1, 1)
print(json.dumps([worker.process.pid for worker in pool._workers]), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_coordinator(opened, sign):
    """Killed without a chance to clean up, it takes its workers with it, in the middle of an epoch too."""
    pool = opened()
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}"}
    words = [json.dumps(pool._settings), pool._places[0]["PYTHONPATH"]]
    command = [sys.executable, "-c", COORDINATOR, *words]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as coordinator:
        pids = json.loads(coordinator.stdout.readline())
        assert are_alive(pids) == pids
        coordinator.send_signal(sign)
    end = time.monotonic() + 30
    while are_alive(pids) and time.monotonic() < end:
        time.sleep(0.02)
    assert are_alive(pids) == []
