"""plan: before anything is trained, what a study will be able to tell, and what it will cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipeline.data import CARD, load_card
from pipeline.records.project import Project
from pipeline.records.recorded import readable
from pipeline.stages.costs import costs, seconds_per_multiply_add
from pipeline.statistics import MOST_SEEDS, Components, resolution, smallest_difference
from pipeline.study import DataShape, Study
from pipeline.study.definition import CARD_KEYS
from pipeline.workers import places

# What is assumed where no baseline is recorded: right on 9 inputs of 10, by seed within half a point.
ACCURACY, SPREAD = 0.9, 0.005
# How winner and baseline go together, being right: the studies that ship have correlations of 0.4 to 0.7.
TOGETHER = 0.5
RESOLVED = ("num_test", "assumed", "smallest", "limit", "num_seeds_for_half")
NO_DATA = "What can be resolved, and the cost in multiply-adds, need the prepared data. Run:"
NO_RECORDS = (
    "How long that takes cannot be told: no training of such a model is recorded on this machine yet."
)
# A spread of fewer scores says nothing.
FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Assumed:
    """What the resolution is foretold from.

    Attributes:
        accuracy: of the baseline.
        spread: the standard deviation of its accuracy over seeds.
        together: the correlation, over test inputs, of being right, of winner and baseline.
        source: where accuracy and spread come from, in words.
    """

    accuracy: float = ACCURACY
    spread: float = SPREAD
    together: float = TOGETHER
    source: str = "assumed, no baseline of this configuration on these data is recorded here"


def plan(project: Project, name: str) -> dict[str, Any]:
    """What the study will resolve and cost, as a JSON value; nothing is written.

    Keys: study, repeats, num_test, assumed, smallest, limit, num_seeds_for_half, stages, workers, missing.
    What needs data that are not prepared is None, and `missing` says so in a sentence.

    Raises:
        StudyError: the study file has problems.
    """
    study = project.study(name)
    told: dict[str, Any] = {"study": name, "repeats": study.confirm.repeats}
    if not (project.data(name) / CARD).is_file():
        empty = dict.fromkeys((*RESOLVED, "workers"))
        stages = [asdict(one) for one in costs(study, None, {})]
        return {**told, **empty, "stages": stages, "missing": f"{NO_DATA} study prepare {name}"}
    card, num_workers = (
        load_card(project.data(name)),
        len(places(max(arm.search.trials for arm in study.arms))),
    )
    found = costs(study, DataShape.of(card), seconds_per_multiply_add(project), num_workers)
    return {
        **told,
        **_resolved(study, assumed(project, study, card), num_test(card)),
        "workers": num_workers,
        "stages": [asdict(one) for one in found],
        "missing": "" if all(one.minutes is not None for one in found) else NO_RECORDS,
    }


def lines(planned: Mapping[str, Any], is_json: bool = False) -> Iterator[str]:
    """A plan in words, or as one JSON value."""
    if is_json:
        yield json.dumps(planned, indent=2)
        return
    name = planned["study"]
    if planned["assumed"]:
        yield f"{name}: {_resolution(planned)}"
        known = Assumed(**planned["assumed"])
        yield (
            f"  Taken for this: test accuracy {100 * known.accuracy:.2f} %, standard deviation over seeds "
            f"{100 * known.spread:.2f} points ({known.source}); winner and baseline are right on the same "
            f"inputs with correlation {known.together} (assumed)."
        )
    else:
        yield f"{name}:"
    for one in planned["stages"]:
        told = f"  {one['stage']}: {one['trainings']:,} trainings, {one['epochs']:,} epochs at most"
        if one["multiply_adds"] is not None:
            told += f", about {one['multiply_adds']:.1e} multiply-adds, {one['most']:.1e} at most"
        if one["minutes"] is not None:
            told += f", about {one['minutes']:.1f} min of training by {planned['workers']} workers"
        yield f"{told}."
    if planned["missing"]:
        yield f"  {planned['missing']}"


def _resolution(planned: Mapping[str, Any]) -> str:
    smallest, limit = (f"{100 * planned[key]:.2f} points" for key in ("smallest", "limit"))
    half, needed = f"{50 * planned['smallest']:.2f} points", planned["num_seeds_for_half"]
    told = (
        f"{planned['repeats']} seeds and {planned['num_test']:,} test inputs will resolve true differences "
        f"of test accuracy between winner and baseline from {smallest} on, in four studies of five. "
    )
    if needed is not None:
        return f"{told}Half of that, {half}, takes {needed:,} seeds."
    if planned["smallest"] / 2 <= planned["limit"]:
        return f"{told}Half of that, {half}, takes more test inputs: no number of seeds goes below {limit}."
    return f"{told}Half of that, {half}, takes more than {MOST_SEEDS:,} seeds."


def _resolved(study: Study, known: Assumed, num_inputs: int) -> dict[str, Any]:
    parts = foretold(known, study.confirm.repeats, num_inputs)
    found = resolution(parts, smallest_difference(parts) / 2)
    values = (num_inputs, asdict(known), found.smallest, found.limit, found.num_seeds)
    return dict(zip(RESOLVED, values, strict=True))


def num_test(card: Mapping[str, Any]) -> int:
    """How many inputs the test split has, by the data card."""
    sizes, _ = CARD_KEYS[card.get("kind", "images") == "images"]
    return int(card[sizes]["test"])


def foretold(assumed: Assumed, repeats: int, num_inputs: int) -> Components:
    """The parts of the variance of winner minus baseline: as many seeds each, spread alike, the same inputs.

    Where two models are right on a share p of the inputs, and go together there with correlation r, an
    input's difference has the variance 2 p (1 - p) (1 - r); all of it counts as the inputs', so that more
    seeds are never promised too much.

    Source: the variance of a difference of correlated proportions: Agresti (2013), Categorical data analysis,
    section 11.1.
    """
    of_input = 2 * assumed.accuracy * (1 - assumed.accuracy) * (1 - assumed.together)
    seeds = (assumed.spread**2 / repeats,) * 2
    return Components(0.0, of_input / num_inputs, seeds, (0.0, 0.0), num_inputs, (repeats, repeats))


def assumed(project: Project, study: Study, card: Mapping[str, Any]) -> Assumed:
    """From the baseline's own recorded repeats, of this configuration on these data, where there are some."""
    for one in readable(project, study.name):
        tables = one.facts["study"]
        is_same = tables.get("configuration") == dict(study.baseline.configuration)
        if one.task.stage != "baseline" or not is_same or one.facts["data"] != card["sha256"]:
            continue
        scores = [outcome.metrics.get("val_accuracy") for outcome in one.outcomes.values()]
        known = [float(score) for score in scores if score is not None]
        if len(known) >= FEWEST_SEEDS:
            source = f"recorded, {len(known)} repeats of the baseline on val"
            return Assumed(float(np.mean(known)), float(np.std(known, ddof=1)), source=source)
    return Assumed()
