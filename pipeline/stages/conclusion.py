"""What confirm concludes: chosen on val, measured once on test, with intervals over seeds and inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import statistics
from pipeline.errors import DataError
from pipeline.stages.answers import MEASURED, Answers, Contender
from pipeline.stages.contests import contests
from pipeline.stages.context import Context, Result
from pipeline.stages.selection import LONGER, WINNER, Selection, is_whole
from pipeline.study import DataShape, Study


@dataclass(frozen=True)
class Confirmed:
    """What has been trained on fresh seeds, by what it is for.

    Attributes:
        order: the candidates by their mean score, best first; the first has won.
        winner: the first; of several on its second set of seeds, which had no part in choosing it.
        longer: the baseline at the search's epochs, where these are others and winner and baseline one model.
        search_best: what the search alone would have chosen, of what has trained on every fresh seed.
        is_first: whether nothing that failed there was before it.
        budgets: what a part of the budget would have chosen, by the part.
    """

    baseline: Contender
    order: Sequence[Contender]
    winner: Contender
    longer: Contender | None
    search_best: Contender
    is_first: bool
    budgets: Mapping[str, Contender]

    @property
    def leaders(self) -> dict[str, Contender]:
        """The best candidate of each arm that has one, best arm first."""
        first: dict[str, Contender] = {}
        for one in self.order:
            first.setdefault(one.candidate.arm if one.candidate else "", one)
        return first

    @property
    def groups(self) -> dict[str, Contender]:
        """What confirm.csv tells of, by role; candidates by their rank."""
        named = {
            "baseline": self.baseline,
            WINNER: self.winner,
            **{f"candidate-{rank}": one for rank, one in enumerate(self.order, start=1)},
            **({LONGER: self.longer} if self.longer else {}),
            **self.budgets,
        }
        # One that stands in two places is told of once, under the first name; a candidate under its rank.
        first = {id(one): role for role, one in reversed(named.items())}
        if not self.is_retrained:
            first[id(self.winner)] = "candidate-1"
        return {role: one for role, one in named.items() if first[id(one)] == role}

    @property
    def is_retrained(self) -> bool:
        """Whether the winner has a second set of seeds."""
        return self.winner is not self.order[0]


def confirmed(selection: Selection, result: Result, baseline: Contender, path: Path) -> Confirmed:
    """What the outcomes of a selection stand for.

    Raises:
        DataError: no candidate has trained on every fresh seed.
    """
    told = {outcome.trial.number: outcome for outcome in result.outcomes}
    # Two arms may have the same configuration, so each is known by its place.
    whole = {
        place: Contender(one.configuration, selection.group(told, place), result.folder, one)
        for place, one in selection.order(told).items()
    }
    dropped, again = selection.retrained(told)
    order = list(whole.values())[dropped:]
    if not order:
        reasons = sorted({one.reason for one in result.outcomes if one.reason})
        raise DataError.of(
            "at least one candidate must train on every fresh seed.",
            "; ".join(reasons),
            "Narrow the space to settings that train reliably, then search again.",
            str(path),
        )
    first = order[0]
    winner = Contender(first.configuration, again, first.folder, first.candidate) if again else first
    beside = {
        role: Contender(selection.beside[role], group, result.folder, selection.spent.get(role))
        for index, role in enumerate(selection.roles)
        if role in selection.beside and is_whole(group := selection.group(told, index))
    }
    as_searched = [whole[place] for place in sorted(whole)]
    # Of equal configurations the one that the search preferred stands for all.
    known = {one.candidate.key: one for one in (*beside.values(), *as_searched[::-1]) if one.candidate}
    longer = beside.get(LONGER)
    is_alike = winner.configuration.get("model") == baseline.configuration.get("model")
    return Confirmed(
        baseline,
        order,
        winner,
        longer if is_alike else None,
        as_searched[0],
        0 in whole,
        {part: known[one.key] for part, one in selection.spent.items() if 0 in whole and one.key in known},
    )


def conclude(
    context: Context, found: Confirmed, on_test: Mapping[str, Answers], on_val: Mapping[int, Answers]
) -> dict[str, Any]:
    """Everything that the report says, as a JSON value.

    Args:
        on_test: the answers of "winner", "baseline", and where there is one "longer".
        on_val: those of contenders that are compared there, by their id; empty where the objective is a
            metric of the user's own, which no answers give.
    """
    study, classes = context.study, list(context.card["classes"])
    is_maximized = study.objective.is_maximized
    winner, plain = on_test["winner"], on_test["baseline"]
    sides = {
        side: {
            **_of_val(one, is_maximized),
            **on_test[side].as_dict(classes),
            # Its model of this repeat stands for all where one is wanted.
            "median_repeat": statistics.median_place(one.scores, is_maximized),
        }
        for side, one in (("winner", found.winner), ("baseline", found.baseline))
    }
    return {
        "objective": study.objective.metric,
        "maximize": is_maximized,
        "repeats": study.confirm.repeats,
        "classes": classes,
        "num_test": len(winner.labels),
        "candidates": [_of_candidate(context, one, found, on_val) for one in found.order],
        "baseline": sides["baseline"],
        "winner": {
            **sides["winner"],
            "is_retrained": found.is_retrained,
            "trials": [one.trial.number for one in found.winner.outcomes],
        },
        "search_best": {**_of_val(found.search_best, is_maximized), "is_first": found.is_first},
        "difference": winner.gain(plain, "accuracy").as_dict(),
        "resolution": winner.resolution(plain, "accuracy").as_dict(),
        "parts": _parts(found, on_test),
        "compared_over": "seeds and inputs" if _is_measured(study) else "seeds",
        "arms": _arms(study, found, on_val),
        "budgets": _budgets(study, found, on_val),
        "judged": _judged(winner, plain),
        "mcnemar": _mcnemar(
            winner, plain, *(sides[side]["median_repeat"] for side in ("winner", "baseline"))
        ),
    }


def compared_on_val(study: Study, found: Confirmed) -> list[Contender]:
    """Whose answers on val are needed: the baseline's, the candidates', what budgets would have chosen."""
    everybody = (found.baseline, *found.order, *found.budgets.values(), found.search_best)
    return list({id(one): one for one in everybody}.values()) if _is_measured(study) else []


def _is_measured(study: Study) -> bool:
    """Whether answers on val give the objective, as they do not give a metric of the user's own."""
    metric = study.objective.metric
    return metric.startswith("val_") and metric.removeprefix("val_") in MEASURED


def _of_candidate(
    context: Context, one: Contender, found: Confirmed, on_val: Mapping[int, Answers]
) -> dict[str, Any]:
    """What is known of a candidate: from val alone, its size, and its difference to the baseline on val."""
    is_maximized = context.study.objective.is_maximized
    gain = {"over_baseline": _ahead(one, found.baseline, on_val)}
    return {**_of_val(one, is_maximized), **_size(context, one), **gain}


def _of_val(one: Contender, is_maximized: bool) -> dict[str, Any]:
    """What is known of a contender from val alone."""
    known: dict[str, Any] = {
        "configuration": dict(one.configuration),
        "scores": one.scores,
        "val_score": statistics.interval(one.scores).as_dict(),
    }
    if one.candidate:
        gap = one.candidate.search_score - one.mean
        known |= {
            "arm": one.candidate.arm,
            "number": one.candidate.number,
            "search_score": one.candidate.search_score,
            # Positive: the search promised more than fresh seeds keep.
            "optimism": gap if is_maximized else -gap,
        }
    return known


def _judged(winner: Answers, plain: Answers) -> dict[str, Any]:
    """What the champion is judged by: the study's own metric, more is better."""
    # Of what is measured on test the loss alone is better where it is smaller.
    is_loss = winner.metric == "loss"
    better, worse = (plain, winner) if is_loss else (winner, plain)
    return {
        "metric": f"test_{winner.metric}",
        "winner": [-score if is_loss else score for score in winner.scores],
        "gain": better.gain(worse, winner.metric).as_dict(),
    }


def _mcnemar(winner: Answers, plain: Answers, repeat: int, plain_repeat: int) -> dict[str, Any]:
    """How one model of each differs, input by input."""
    pair = statistics.mcnemar(winner.labels, winner.predicted[repeat], plain.predicted[plain_repeat])
    return {
        "only_winner_right": pair.only_a_right,
        "only_baseline_right": pair.only_b_right,
        "p_value": pair.p_value,
    }


def _parts(found: Confirmed, on_test: Mapping[str, Answers]) -> dict[str, Any] | None:
    """What of the gain in test accuracy longer training bought, and what tuning; None where that is one."""
    if found.longer is None:
        return None
    longer = on_test["longer"]
    return {
        "epochs": int(found.longer.configuration["epochs"]),
        "longer": longer.gain(on_test["baseline"], "accuracy").as_dict(),
        "tuning": on_test["winner"].gain(longer, "accuracy").as_dict(),
        "test_accuracies": longer.accuracies,
    }


def _arms(study: Study, found: Confirmed, on_val: Mapping[int, Answers]) -> list[dict[str, Any]]:
    """By how much the best arm's best is above each other arm's, in the objective on val.

    Where two settings are compared, once for each value of the second; without a confirmed arm there, not.
    """
    if study.search.searches > 1:
        return contests(study, found.leaders, on_val)
    told = []
    for at, groups in study.rivals.items():
        leaders = {arm: one for arm, one in found.leaders.items() if arm in groups}
        if len(groups) > 1 and leaders:
            (best, first), *others = leaders.items()
            ahead_of = {arm: _ahead(first, one, on_val) for arm, one in others}
            could = {arm: _resolution(first, one, on_val) for arm, one in others}
            told.append({"at": at, "best": best, "ahead_of": ahead_of, "resolution": could})
    return told


def _budgets(study: Study, found: Confirmed, on_val: Mapping[int, Answers]) -> dict[str, Any]:
    """By how much the best of all trials is better than the best of a part; None where that is the same."""
    best, bought = found.search_best, dict[str, Any]()
    for part, one in found.budgets.items():
        pair = (best, one) if study.objective.is_maximized else (one, best)
        bought[part] = None if one is best else _ahead(*pair, on_val)
    return bought


def _ahead(one: Contender, other: Contender, on_val: Mapping[int, Answers]) -> dict[str, float]:
    """The difference of two contenders in the objective, one minus other.

    Where the objective is a metric of the user's own there are no answers on val that would give it, so the
    interval is over seeds alone, which pair the two.
    """
    if not on_val:
        return statistics.paired_interval(one.scores, other.scores).as_dict()
    return on_val[id(one)].gain(on_val[id(other)]).as_dict()


def _resolution(one: Contender, other: Contender, on_val: Mapping[int, Answers]) -> dict[str, Any]:
    """What the comparison that `_ahead` makes could resolve."""
    if on_val:
        return on_val[id(one)].resolution(on_val[id(other)]).as_dict()
    parts = statistics.Components.paired(one.scores, other.scores)
    return statistics.resolution(parts, parts.mean).as_dict()


def _size(context: Context, one: Contender) -> dict[str, int]:
    """How large the contender's model is and what training it costs, where models are compared.

    num_weights: 0 where the data decide it; multiply_adds: of all its epochs.
    """
    study = context.study
    if "model" not in study.compared:
        return {}
    shape, epochs = DataShape.of(context.card), int(one.configuration["epochs"])
    return {
        "num_weights": study.learner.num_weights(one.configuration, shape),
        "multiply_adds": epochs * study.learner.cost(one.configuration, shape),
    }
