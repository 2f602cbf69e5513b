"""Stand-ins behind the seams: a pool that trains nothing, an engine that is a script, a log of both."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import seeds, study
from pipeline.engines import Assignment, open_engine
from pipeline.files import digest
from pipeline.learners import Found
from pipeline.learners.networks import NETWORKS
from pipeline.search import Loop, Rules
from pipeline.space import Choice, Dimension, Range, Space, defaults
from pipeline.study import Arm, Search
from pipeline.study.tables import PRUNERS, SAMPLERS
from pipeline.trial import EpochResult, Outcome, Trial
from pipeline.workers import VirtualTrainer


def _named(engine: str, sampler: str, pruner: str):
    # Keras Tuner imports TensorFlow; the quick combinations have each sampler and each pruner once at least.
    is_quick = engine == "optuna" and (sampler == "tpe" or pruner == "successive_halving")
    marks = [] if is_quick else [pytest.mark.slow]
    return pytest.param((engine, sampler, pruner), id=f"{engine}-{sampler}-{pruner}", marks=marks)


ENGINES = [
    *(_named("optuna", sampler, pruner) for sampler in SAMPLERS["optuna"] for pruner in PRUNERS),
    *(_named("keras_tuner", sampler, "none") for sampler in SAMPLERS["keras_tuner"]),
]
RATE = Dimension("learning_rate", Range(1e-4, 1e-2, is_int=False, log=True))
BATCH = Dimension("batch_size", Choice((32, 64, 128)))
SMALL = Space((RATE, BATCH))
GRID = Space(
    (
        Dimension("model", Choice(("mlp", "cnn"))),
        Dimension("filters", Range(8, 24, is_int=True, step=8), ("model", ("cnn",))),
        Dimension("dropout", Range(0.0, 0.5, is_int=False, step=0.1)),
    )
)
MIXED = Space((RATE, BATCH, *GRID))
# A grid needs points; Keras Tuner's Gaussian process is slow beyond two dimensions.
FINE = Space((*GRID.dimensions[:2], Dimension("dropout", Range(0.0, 0.5, is_int=False, step=0.05))))
SPACES = {"grid": GRID, "one_at_a_time": FINE, "bayesian": SMALL}
LEARNERS = Found(Path(), Path())
HYPERPARAMETERS = NETWORKS.hyperparameters
DEFAULTS = defaults(HYPERPARAMETERS)
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


def parse(text: str, name: str) -> study.Study:
    """A study of the learners that ship."""
    return study.parse(text, name, LEARNERS)


def load(path: Path) -> study.Study:
    """A study file's study of the learners that ship."""
    return study.load(path, LEARNERS)


def trial(number: int = 0, epochs: int = 3, chance: str = "trial", **values) -> Trial:
    return Trial(number, values, {"batch_size": 32, **values}, epochs, (chance, number))


def outcome(number: int = 0, *scores: float, state: str = "complete", **more) -> Outcome:
    """The outcome of a trial with these scores, complete unless it is said otherwise."""
    score = scores[-1] if scores and state != "failed" else None
    curve = tuple({"val_accuracy": value} for value in scores)
    made = Outcome(trial(number, epochs=len(scores) or 1), state, curve, score)
    return replace(made, **more)


def draw(*names) -> float:
    """A number in (0, 1) that its names decide."""
    return seeds.stream(1, *names) / 2**31


def cost(trial: Trial) -> int:
    """A cost that differs from configuration to configuration."""
    return 1 + int(9 * draw("price", digest(dict(trial.values))))


def trained(trial: Trial, epoch: int) -> EpochResult:
    """What a fake epoch gives: a pure function of the searched values; one trial in five diverges."""
    name = digest(dict(trial.values))
    metrics = {metric: draw(metric, name, epoch) + epoch / 10 for metric in METRICS}
    if draw("runs away", name) < 1 / 5 and epoch == 2:
        metrics["val_loss"] = math.nan
    return EpochResult(trial.number, epoch, metrics, seconds=0.5)


class FakePool:
    """Trains in no time; what was started, asked for and stopped can be read."""

    def __init__(self, train=trained) -> None:
        self.train, self.log_folder = train, Path()
        self.flying: dict[int, Trial] = {}
        self.started: list[int] = []
        self.asked: list[tuple[int, int]] = []

    def start(self, trial: Trial, *_: int) -> None:
        assert trial.number not in self.flying
        self.flying[trial.number] = trial
        self.started.append(trial.number)

    def result(self, number: int, epoch: int) -> EpochResult:
        self.asked.append((number, epoch))
        return self.train(self.flying[number], epoch)

    def stop(self, number: int) -> None:
        del self.flying[number]


class Script:
    """An engine that proposes so many trials, prunes at given (number, epoch), and waits where it is told."""

    def __init__(self, trials: int = 6, prunes=(), epochs: int = 3, waits=()) -> None:
        self.left = [trial(number, epochs) for number in reversed(range(trials))]
        self.prunes = prunes
        self.waits = list(waits)

    def ask(self) -> Trial | None:
        if self.waits and self.waits.pop(0):
            return None
        return self.left.pop() if self.left else None

    def report(self, trial: Trial, epoch: int, _: float) -> bool:
        return (trial.number, epoch) not in self.prunes

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        pass


class Logged:
    """An engine whose asks, reports and tells are written down."""

    def __init__(self, engine, log: list | None = None) -> None:
        self.engine = engine
        self.log: list = [] if log is None else log

    def ask(self) -> Trial | None:
        asked = self.engine.ask()
        self.log.append(("ask", asked))
        return asked

    def report(self, trial: Trial, epoch: int, score: float) -> bool:
        answer = self.engine.report(trial, epoch, score)
        self.log.append(("report", trial.number, epoch, score, answer))
        return answer

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        self.log.append(("tell", trial.number, outcome.state, outcome.score))
        self.engine.tell(trial, outcome)


def num_trials(sampler) -> int:
    """Enough for the sampler to have looked at outcomes; or all of its points."""
    return {"bayesian": 12, "one_at_a_time": 11}.get(sampler, 14)


def assignment(engine="optuna", sampler="random", pruner="none", *, seed=1, epochs=4, **search):
    """What an engine is asked to do in a test, in a space that its sampler can take."""
    space = search.pop("space", SPACES.get(sampler, MIXED))
    if sampler == "one_at_a_time":
        plain = {**DEFAULTS, **{entry.name: entry.values.ends[0] for entry in space}}
        search.setdefault("start_with", space.one_at_a_time(plain) or [])
    settings = Search(
        engine=engine, sampler=sampler, pruner=pruner, **{"trials": num_trials(sampler), **search}
    )
    arm = Arm("arm", settings, {"epochs": epochs, "activation": "tanh"})
    return Assignment(arm, space, DEFAULTS, seed, "val_accuracy", is_maximized=True)


def tables(work: Assignment) -> dict:
    """What a study's plan says of this assignment, as far as a view looks at it."""
    space = [{"name": entry.name, **vars(entry.values)} for entry in work.space]
    goal = "maximize" if work.is_maximized else "minimize"
    return {"objective": {"maximize": None, "minimize": None, goal: work.metric}, "space": space}


def loop(engine, recorded=None, pool=None, *, parallel=3, patience=None, is_maximized=True, **more) -> Loop:
    """A search of fakes; `engine` may be an assignment."""
    engine = open_engine(engine) if isinstance(engine, Assignment) else engine
    trainer = VirtualTrainer(pool or FakePool(), cost, recorded)
    rules = Rules("val_accuracy", is_maximized, parallel, patience)
    return Loop(engine, trainer, rules, **{"keep": lambda _: None, **more})
