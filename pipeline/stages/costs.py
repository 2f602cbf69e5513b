"""What a study's stages cost: trainings, epochs, multiply-adds and, where this machine knows, minutes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.data import load_card
from pipeline.errors import PipelineError
from pipeline.files import digest
from pipeline.records.project import Project
from pipeline.records.recorded import readable
from pipeline.space import Choice, Configuration, Space
from pipeline.stages.selection import longer, num_budgets
from pipeline.study import DataShape, Learner, Study
from pipeline.training import machine


@dataclass(frozen=True)
class Cost:
    """What a stage trains.

    Attributes:
        trainings, epochs: at most; trials that are pruned, or end early, have fewer epochs.
        multiply_adds, most: of all its epochs, at the centre of the space and at its costliest corner; None
            without data.
        minutes: of training alone, on this machine's workers, at the centre; None where nothing tells.
    """

    stage: str
    trainings: int
    epochs: int
    multiply_adds: int | None = None
    most: int | None = None
    minutes: float | None = None


def costs(
    study: Study, data: DataShape | None, rates: Mapping[str, float], num_workers: int = 1
) -> list[Cost]:
    """What each stage trains at most."""
    repeats = study.confirm.repeats
    top = study.confirm.top if study.search.searches == 1 else 1
    arms = study.arms
    plain = _model(study, Space(()), study.baseline.configuration, data)
    models = [_model(study, study.space_of(arm), arm.fixed, data) for arm in arms]
    # Each arm's best; the others of the `top`, what parts of the budget found, and the winner once more where
    # several contend may be of any arm.
    others = top - 1 + num_budgets(study) + (top > 1 or len(arms) > 1)
    share = repeats * (1 + others / len(models))
    longest = [_model(study, Space(()), one, data) for one in [longer(study)] if one]
    every, counts = [*models, *longest], [*[share] * len(models), *[repeats] * len(longest)]
    confirm = _cost("confirm", every, counts, rates, num_workers)
    epochs = repeats * (sum(one.epochs for one in every) + others * max(one.epochs for one in models))
    most = None
    if data is not None:
        each = [one.most or 0 for one in every]
        most = repeats * (sum(each) + others * max(one.most or 0 for one in models))
    return [
        _cost("baseline", [plain], [repeats], rates, num_workers),
        _cost("search", models, [arm.search.trials for arm in arms], rates, num_workers),
        replace(confirm, epochs=epochs, most=most),
    ]


def _cost(
    stage: str,
    models: Sequence[_Model],
    counts: Sequence[float],
    rates: Mapping[str, float],
    num_workers: int,
) -> Cost:
    """Of so many trainings of each model."""
    pairs = list(zip(models, counts, strict=True))
    trainings = round(sum(counts))
    epochs = round(sum(count * one.epochs for one, count in pairs))
    if any(one.usual is None for one in models):
        return Cost(stage, trainings, epochs)
    usual, most = (
        round(sum(count * number for count, number in zip(counts, numbers, strict=True)))
        for numbers in ([one.usual or 0 for one in models], [one.most or 0 for one in models])
    )
    if not all(one.kind in rates for one in models):
        return Cost(stage, trainings, epochs, usual, most)
    seconds = sum(count * (one.usual or 0) * rates[one.kind] for one, count in pairs)
    return Cost(stage, trainings, epochs, usual, most, seconds / 60 / min(num_workers, trainings))


def _model(study: Study, space: Space, fixed: Configuration, data: DataShape | None) -> _Model:
    """A model at the centre of a space, and at its costliest corner."""
    epochs = int(fixed["epochs"])

    def completed(point: Configuration) -> Configuration:
        return {**study.defaults, **fixed, **point}

    kind = kind_of(study.learner, completed(space.centre()))
    if data is None:
        return _Model(kind, epochs, None, None)

    def cost(point: Configuration) -> int:
        return epochs * study.learner.cost(completed(point), data)

    return _Model(kind, epochs, cost(space.centre()), costliest(space, cost))


def costliest(space: Space, cost: Callable[[Configuration], int]) -> int:
    """The cost at the costliest corner that is found by moving one hyperparameter after another.

    It is the largest of the space where the cost grows, or falls, with each of them whatever the others are.
    """
    point = {entry.name: entry.values.centre for entry in space}
    for entry in space:
        values = entry.values.values if isinstance(entry.values, Choice) else entry.values.ends
        costs = {value: cost(space.active({**point, entry.name: value})) for value in values}
        point[entry.name] = max(costs, key=lambda value: costs[value])
    return max(cost(one) for one in (space.active(point), *space.corners()))


@dataclass(frozen=True)
class _Model:
    """What training one model of an arm costs; without data its multiply-adds are None.

    Attributes:
        epochs: of a training, at most.
        usual, most: its multiply-adds, at the centre and at the costliest corner.
    """

    kind: str
    epochs: int
    usual: int | None
    most: int | None


def kind_of(learner: Learner, configuration: Configuration) -> str:
    """What trains alike: a family by its name, a model of the user's own by its file."""
    settings = learner.as_settings()
    return digest(settings) if settings["kind"] == "own" else str(configuration["model"])


def seconds_per_multiply_add(project: Project) -> dict[str, float]:
    """By kind of model, what a multiply-add has taken on this machine, over all trials that are recorded."""
    spent: defaultdict[str, float] = defaultdict(float)
    done: defaultdict[str, float] = defaultdict(float)
    here = machine()
    for path in sorted(project.root.glob("studies/*/study.toml")):
        try:
            study = project.study(path.parent.name)
            card = load_card(project.data(study.name))
        except PipelineError:
            continue
        sources, shape = dict(study.learner.sources()), DataShape.of(card)
        for one in readable(project, study.name):
            # Of other code or other data what they cost is not known.
            known = one.facts["machine"], one.facts["data"], one.facts["study"].get("sources")
            if known != (here, card["sha256"], sources):
                continue
            for outcome in one.outcomes.values():
                configuration = {**study.defaults, **outcome.trial.configuration}
                kind = kind_of(study.learner, configuration)
                spent[kind] += outcome.seconds
                done[kind] += len(outcome.curve) * study.learner.cost(configuration, shape)
    return {kind: spent[kind] / done[kind] for kind in done if spent[kind] > 0 and done[kind] > 0}
