"""What a study found, in sentences. Plain text: names in it are not yet escaped for any page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report import wording
from pipeline.report.findings import Findings
from pipeline.report.tables import MOST_ROWS
from pipeline.statistics import Interval, paired_interval
from pipeline.study import Arm, Dataset, Study

DIGITS = 6
MOST_REASONS = 3
NO_DIFFERENCE = 1e-9


def metrics(evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers to keep an eye on, for `dvc metrics show`; the configuration stays exact."""
    winner = evidence["winner"]
    return {
        "baseline": {"test_accuracy": _rounded(evidence["baseline"]["test_accuracy"])},
        "winner": {
            "test_accuracy": _rounded(winner["test_accuracy"]),
            "configuration": dict(winner["configuration"]),
        },
        "difference": _rounded(evidence["difference"]),
        "optimism": _round(winner["optimism"]),
    }


def answer(findings: Findings) -> str:
    """The study's answer with its interval, in one or two sentences."""
    return " ".join(answers(findings))


def answers(findings: Findings) -> list[str]:
    """What tuning bought, and whether with longer training; then which of the compared arms did better."""
    return [_bought(findings.evidence), *_trained(findings.evidence), *_compared(findings)]


def mcnemar(evidence: Mapping[str, Any]) -> str:
    """How winner and baseline differ on the images of the test split, for one pair of models."""
    found = evidence["mcnemar"]
    winner, baseline = found["only_winner_right"], found["only_baseline_right"]
    return (
        f"Of the two models of the first seed, only the winner's is right on "
        f"{wording.amount(winner, 'test image')} and only the baseline's on {baseline:,} "
        f"(exact McNemar test, {wording.p_value(found['p_value'])})."
    )


def champion(evidence: Mapping[str, Any]) -> str:
    """Whether the winner is now the model in force, and why."""
    verdict = evidence["champion"]
    start = "The winner is now champion" if verdict["granted"] else "The winner was not made champion"
    reason = str(verdict.get("reason") or "").strip().rstrip(".")
    return f"{start}: {reason}." if reason else f"{start}."


def optimism(findings: Findings) -> str:
    """How much better the winner looked in the search than on fresh seeds."""
    winner, metric = findings.evidence["winner"], findings.metric
    gap = wording.gap(metric, winner["optimism"]).removeprefix("+")
    verdict = (
        f"The search promised {gap} too much, the optimism of choosing the best of many."
        if winner["optimism"] > 0
        else "The search did not promise too much."
    )
    return (
        f"In the search the winner's {wording.METRICS[metric]} was "
        f"{wording.score(metric, winner['search_score'])}; on fresh seeds it is "
        f"{wording.score(metric, winner['val_score']['mean'])}. {verdict}"
    )


def failures(findings: Findings) -> list[str]:
    """Why trials failed, the most frequent reasons first; nothing where none did."""
    failed = findings.trials[findings.trials["state"] == "failed"]
    if failed.empty:
        return []
    reasons = Counter(
        str(reason) if wording.counts(reason) else "no reason recorded" for reason in failed["reason"]
    )
    ranked = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:MOST_REASONS]
    told = "; ".join(f"{reason.rstrip('.')} ({count})" for reason, count in ranked)
    return [f"{wording.amount(len(failed), 'trial')} failed: {told}."]


def data(findings: Findings) -> list[str]:
    """What the images are, and whether some appear twice."""
    card, told = findings.card, []
    if card.get("image_shape"):
        shape = " x ".join(str(length) for length in card["image_shape"])
        told.append(f"Images of {shape} (height, width, channels) in {len(findings.classes)} classes.")
    if card.get("duplicates"):
        told.append(_duplicates(card["duplicates"]))
    if card.get("sha256"):
        told.append(f"SHA-256 of the data: {card['sha256']}.")
    return told


def method(findings: Findings) -> list[str]:
    """How the study was done: enough to judge the numbers by."""
    study, metric = findings.study, wording.METRICS[findings.metric]
    way = "highest" if study.objective.is_maximized else "lowest"
    number = wording.amount(len(findings.evidence["candidates"]), "candidate")
    each = ", and the best of each arm" if study.compared else ""
    seeds = wording.amount(findings.evidence["repeats"], "fresh seed")
    return [
        f"Trained {_models(study)} on {_source(study.dataset)}, study seed {study.seed}; "
        f"sought the {way} {metric}.",
        *_searches(study),
        f"{number} of the search (its best distinct configurations{each}) and the baseline were trained "
        f"anew on {seeds}. The winner is the candidate with the {way} mean {metric}. "
        "Then the test split was opened, for the winner and the baseline alone.",
        "Each interval is a 95 % Student t interval over seeds: it covers the chance in initial weights and "
        "shuffling, not the choice of the images, which all models share. Differences are paired by seed.",
    ]


def _bought(evidence: Mapping[str, Any]) -> str:
    before = wording.percent(evidence["baseline"]["test_accuracy"]["mean"])
    after = wording.percent(evidence["winner"]["test_accuracy"]["mean"])
    difference = wording.read(evidence["difference"])
    seeds = wording.amount(evidence["repeats"], "seed")
    by = f"({wording.change('test_accuracy', difference)} over {seeds})"
    if not difference.is_resolved:
        return (
            f"The study does not show a difference: the test accuracy is {before} with the baseline "
            f"and {after} with the winner of the search {by}."
        )
    if difference.mean > 0:
        return f"Tuning took the test accuracy from {before} to {after} {by}."
    return f"Tuning did harm: it took the test accuracy from {before} down to {after} {by}."


def _trained(evidence: Mapping[str, Any]) -> list[str]:
    """Part of the gain may be owed to longer training, where it was longer."""
    winner, baseline = (int(evidence[who]["configuration"]["epochs"]) for who in ("winner", "baseline"))
    told = f"The winner trains for {wording.amount(winner, 'epoch')}, the baseline for {baseline:,}."
    return [told] if winner != baseline else []


def _compared(findings: Findings) -> list[str]:
    if findings.study.compared is None:
        return []
    twins = _twins(findings)
    told = []
    if twins:
        told.append(
            f"The arms {' and '.join(twins)} tried the very same trials: what they differ in never came into "
            "play, as when a sampler still draws at random. Give them more trials to compare them."
        )
    if len(twins) < len(findings.arms):
        told.append(_of_arms(findings, findings.study.compared[0], twins))
    return told


def _of_arms(findings: Findings, key: str, twins: Sequence[str]) -> str:
    """Which arm's best candidate did better, or why that stays open."""
    leaders = findings.leaders()
    # Of twins the one with the best candidate stands for all.
    hidden = [arm for arm in dict.fromkeys((*leaders, *findings.arms)) if arm in twins][1:]
    leaders = {arm: best for arm, best in leaders.items() if arm not in hidden}
    missing = [arm for arm in findings.arms if arm not in {*leaders, *hidden}]
    if len(leaders) < 2:
        few = f"none of the confirmed candidates is of {' or '.join(missing)}."
        return f"Which {key} is better stays open: {few}"
    absent = f" No candidate of {' or '.join(missing)} was confirmed." if missing else ""
    return f"Compared by {key}, {_contest(findings, leaders)}{absent}"


def _twins(findings: Findings) -> list[str]:
    """Arms whose trials are all equal, each configuration and each score."""
    alike: dict[str, list[str]] = {}
    for arm in findings.arms:
        trials = findings.of_arm(findings.trials, arm).drop(columns="arm")
        alike.setdefault(trials.to_csv(index=False), []).append(arm)
    return max((arms for arms in alike.values() if len(arms) > 1), key=len, default=[])


def _contest(findings: Findings, leaders: Mapping[str, Mapping[str, Any]]) -> str:
    """How the best arm's best candidate did against the next arm's, seed by seed."""
    (first, best), (second, next_best) = list(leaders.items())[:2]
    difference = paired_interval(best["scores"], next_best["scores"])
    metric, seeds = findings.metric, len(best["scores"])
    verdict = "is resolved" if difference.is_resolved else "is not resolved: the two cannot be told apart"
    return (
        f"the best candidate of {first} confirmed {_degree(findings, difference)} {second}: "
        f"{wording.METRICS[metric]} {wording.score(metric, best['val_score']['mean'])} against "
        f"{wording.score(metric, next_best['val_score']['mean'])} "
        f"({wording.change(metric, difference)}, paired over {seeds} seeds); this difference {verdict}."
    )


def _degree(findings: Findings, difference: Interval) -> str:
    if abs(difference.mean) < NO_DIFFERENCE:
        return "the same as that of"
    return "better than that of" if len(findings.arms) == 2 else "best, before that of"


def _models(study: Study) -> str:
    if study.compared and study.compared[0] == "model":
        return f"models {' and '.join(str(value) for value in study.compared[1])}"
    return "a searched model" if "model" in study.space.names else f"model {study.model}"


def _searches(study: Study) -> list[str]:
    """One sentence for all arms that were searched alike."""
    alike: dict[str, list[str]] = {}
    for arm in study.arms:
        alike.setdefault(_search(arm), []).append(arm.name)
    if study.compared is None:
        return [f"Search: {how}" for how in alike]
    told = [f"{'Arm' if len(arms) == 1 else 'Arms'} {', '.join(arms)}: {how}" for how, arms in alike.items()]
    rest = len(told) - MOST_ROWS
    return (
        [*told[:MOST_ROWS], f"{wording.amount(rest, 'more arm')} as the study file says."]
        if rest > 0
        else told
    )


def _search(arm: Arm) -> str:
    search = arm.search
    limits = [f"{wording.amount(search.trials, 'trial')} at most"]
    if search.minutes is not None:
        limits.append(f"no new one after {search.minutes:g} minutes")
    if search.patience is not None:
        limits.append(f"an end after {wording.amount(search.patience, 'trial')} without a better score")
    return (
        f"engine {search.engine}, sampler {arm.sampler}, pruner {arm.pruner}; {', '.join(limits)}; "
        f"{search.parallel} in flight, {wording.amount(arm.epochs, 'epoch')} each."
    )


def _duplicates(found: Mapping[str, Mapping[str, Any]]) -> str:
    places = [(f"within {split}", seen) for split, seen in found.get("within", {}).items()]
    for pair, seen in found.get("across", {}).items():
        first, _, second = pair.partition("/")
        places.append((f"of {second} also in {first}", seen))
    told = []
    for place, seen in places:
        if seen.get("num_images"):
            other = seen.get("num_other_label")
            told.append(
                f"{seen['num_images']:,} {place}{f' ({other:,} under another label)' if other else ''}"
            )
    return f"Images that appear twice: {', '.join(told)}." if told else "No image appears twice."


def _source(dataset: Dataset) -> str:
    return dataset.name or dataset.npz or dataset.folder or "unnamed images"


def _rounded(ends: Mapping[str, float]) -> dict[str, float]:
    return {name: _round(ends[name]) for name in ("mean", "low", "high")}


def _round(value: float) -> float:
    # Adding 0 turns a rounded -0.0 into 0.0.
    return round(float(value), DIGITS) + 0.0
