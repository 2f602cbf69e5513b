"""A study that is interrupted anywhere, again and again, ends as if it had not been.

Every signal meets every point. Whole, with both engines and both trainers, that would be 140 studies; here
every pair of two dimensions occurs, in two studies with an arm for each engine, one study for each trainer.
Each is met by its signals one after the other, finished by `dvc repro`, and compared with a study that was
left alone. `make soak` draws from the whole matrix.
"""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from conftest import TINY, Repro, copy_project, environment, run_in, write_study

from benchmarks.soak.driver import EXITS, SIGNS, Crash, End, lost_or_doubled, results, run

POINTS = ("ask", "epoch", "between", "tracking", "outputs", "confirm", "report")
ARMS = ("optuna", "keras_tuner")
TRAINERS = ("fit", "compiled")

# A row for each signal at each point; engines and trainers take turns, so that each meets every other value.
ROWS = [
    (sign, point, ARMS[(s + p) // 2 % 2 if p < 4 else s % 2], TRAINERS[(s + p) % 2])
    for (s, sign), (p, point) in itertools.product(enumerate(SIGNS), enumerate(POINTS))
]
# Where there is nothing of an arm's own any more, the points of a stage take turns.
PLACES = {
    "outputs": [("write", "trials.csv"), ("write", "curves.csv")],
    "confirm": [("epoch", "confirm"), ("promote",), ("write", "winner"), ("write", "confirm.csv")],
    "report": [("write", "metrics.json"), ("write", "report.md"), ("write", "report.html")],
}
# Who is interrupted while MLflow is told goes on telling for a moment, and leaves nothing for the next one.
LATEST = {"STOP": 0, "KILL": 1, "TWICE": 2, "TERM": 3, "INT": 4}
# Two epochs are ordered ahead: when this one is, the worker has trained some.
IN_WORK = 4
# Longer than an import of TensorFlow may take on a busy machine.
SETTINGS = {"STUDY_GIVE_UP_SECONDS": "20", "STUDY_WORKERS": "1"}


@dataclass
class Story:
    """What happened to one study, and what became of it."""

    told: list[tuple[list[Crash], End]] = field(default_factory=list)
    results: dict[str, bytes] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


Stories = dict[str, tuple[Story, dict[str, bytes]]]


def crashes(trainer: str, arm: str) -> list[Crash]:
    """The crashes of an arm's search, in an order in which each still finds something to disturb."""
    mine = [(sign, point) for sign, point, *rest in ROWS if rest == [arm, trainer] and point in POINTS[:4]]
    mine.sort(key=lambda row: (POINTS.index(row[1]), LATEST[row[0]]))
    planned = []
    for index, (sign, point) in enumerate(mine):
        kind = ("result", "tell")[index % 2] if point == "between" else point
        # What is recorded is asked for and told again; only what is new is trained and shown.
        count = {"epoch": IN_WORK, "tracking": 1}.get(point, index + 1)
        if planned and (planned[-1].sign, planned[-1].point) == ("STOP", (kind, arm)):
            count += planned[-1].count
        planned.append(Crash(sign, (kind, arm), count))
    return planned


def others(trainer: str, stage: str) -> list[Crash]:
    """The crashes of a stage that has no arms; a stop comes last, since its run ends well."""
    mine = [sign for sign, point, _, who in ROWS if (point, who) == (stage, trainer)]
    planned = []
    for index, sign in enumerate(sorted(mine, key="STOP".__eq__), TRAINERS.index(trainer)):
        point = PLACES[stage][index % len(PLACES[stage])]
        planned.append(Crash(sign, point, IN_WORK if point[0] == "epoch" else 1))
    return planned


def together(planned: list[Crash]) -> list[list[Crash]]:
    """Runs: a process that was stopped goes on, to be met by the next signal."""
    runs: list[list[Crash]] = [[]]
    for crash in planned:
        runs[-1].append(crash)
        if crash.sign != "STOP":
            runs.append([])
    return runs


def interrupted(folder: Path, trainer: str) -> Story:
    """A study that is met by every signal of its rows, and then finished by `dvc repro`."""
    write_study(copy_project(folder), "tiny", text(trainer))
    story, own = Story(), {**environment(), **SETTINGS}
    searches = [crash for arm in ARMS for crash in crashes(trainer, arm)] + others(trainer, "outputs")
    stages = {"check": [], "prepare": [], "baseline": [], "search": searches}
    stages |= {stage: others(trainer, stage) for stage in ("confirm", "report")}
    for stage, planned in stages.items():
        for met in together(planned):
            story.told.append((met, run(folder, own, [stage, "tiny"], *met)))
    done = run_in(folder, "dvc", "repro")
    assert done.returncode == 0, done.stdout
    story.results, story.wrong = results(folder, "tiny"), lost_or_doubled(folder, "tiny")
    return story


def text(trainer: str) -> str:
    """The tiny study, trained by this trainer; left to itself it takes the compiled one."""
    return TINY if trainer == "compiled" else TINY.replace("seed ", f'trainer = "{trainer}"\nseed ')


def left_alone(folder: Path, trainer: str) -> dict[str, bytes]:
    """What a study gives that nothing disturbs."""
    write_study(folder, "tiny", text(trainer))
    for stage in ("check", "prepare", "baseline", "search", "confirm", "report"):
        done = run_in(folder, "study", stage, "tiny")
        assert done.returncode == 0, done.stdout
    return results(folder, "tiny")


@pytest.fixture(scope="module")
def stories(repro: Repro, tmp_path_factory: pytest.TempPathFactory) -> Stories:
    """For each trainer, what became of the study that was interrupted and of the one that was not."""
    folder = tmp_path_factory.mktemp("matrix")
    with ThreadPoolExecutor() as threads:
        met = {name: threads.submit(interrupted, folder / f"met-{name}", name) for name in TRAINERS}
        alone = {"compiled": repro.results, "fit": left_alone(folder / "alone", "fit")}
        return {name: (met[name].result(), alone[name]) for name in TRAINERS}


def test_every_pair_of_two_dimensions_occurs() -> None:
    """Each value of signal, point, engine and trainer meets each value of each other dimension."""
    for first, second in itertools.combinations(range(4), 2):
        wanted = itertools.product(*((SIGNS, POINTS, ARMS, TRAINERS)[at] for at in (first, second)))
        assert {(row[first], row[second]) for row in ROWS} == set(wanted)
    planned = [crash for name in TRAINERS for arm in ARMS for crash in crashes(name, arm)]
    planned += [crash for name in TRAINERS for stage in PLACES for crash in others(name, stage)]
    assert len(planned) == len(ROWS) == 35


@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS)
def test_every_signal_comes_and_is_obeyed(stories: Stories, trainer: str) -> None:
    """Killed, it is gone; asked to end, it says that it goes on from there; stopped, it goes on by itself."""
    for met, end in stories[trainer][0].told:
        assert end.sent == met, (met, end)
        assert end.status == EXITS.get(met[-1].sign if met else "", 0), (met, end)
        if end.status == 130 and met[-1].sign != "TWICE":
            assert end.said.endswith("What was finished is recorded; the same command goes on from there.\n")


@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS)
def test_a_study_that_is_interrupted_ends_as_if_it_had_not_been(stories: Stories, trainer: str) -> None:
    """trials.csv, confirm.csv and metrics.json have the bytes of a study that was left alone."""
    story, alone = stories[trainer]
    assert story.results == alone


@pytest.mark.slow
@pytest.mark.parametrize("trainer", TRAINERS)
def test_no_trial_is_lost_or_doubled(stories: Stories, trainer: str) -> None:
    """Each is recorded once, ended in Optuna's storage, and one run of MLflow with its outcome's state."""
    assert stories[trainer][0].wrong == []
