"""What a study has found, in sentences: plain text, not yet escaped for any page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.report import power
from pipeline.report.findings import Findings
from pipeline.report.power import NO_DIFFERENCE
from pipeline.report.tables import MOST_ROWS, amount, change, gap, score
from pipeline.statistics import Interval, paired_interval
from pipeline.study import Arm
from pipeline.trial import OUT_OF_TIME

MOST_REASONS = 3


def answer(findings: Findings) -> str:
    """The study's answer with its interval, in one or two sentences."""
    return " ".join(answers(findings))


def answers(findings: Findings) -> list[str]:
    """What tuning bought, what could be told, whether with longer training; then which arm did better."""
    return [_bought(findings), *power.resolved(findings), *_longer(findings.conclusion), *_compared(findings)]


def mcnemar(findings: Findings) -> str:
    """How winner and baseline differ on the inputs of the test split, for one pair of models."""
    found = findings.conclusion["mcnemar"]
    p_value = "p < 0.001" if found["p_value"] < 0.001 else f"p = {found['p_value']:.3f}"
    return (
        "Of the two models of the first seed, only the winner's is right on "
        f"{amount(found['only_winner_right'], f'test {findings.noun}')} and only the baseline's on "
        f"{found['only_baseline_right']:,} (exact McNemar test, {p_value})."
    )


def champion(conclusion: Mapping[str, Any]) -> str:
    """Whether the winner is champion now, and why."""
    decided = conclusion["champion"]
    told = "The winner is now champion" if decided["granted"] else "The winner was not made champion"
    reason = str(decided.get("reason") or "").strip().rstrip(".")
    return f"{told}: {reason}." if reason else f"{told}."


def optimism(findings: Findings) -> str:
    """How much better the winner looked in the search than on fresh seeds."""
    winner, metric = findings.conclusion["winner"], findings.metric
    too_much = gap(metric, winner["optimism"]).removeprefix("+")
    return (
        f"In the search the winner's {findings.metric_name} was {score(metric, winner['search_score'])}; "
        f"on fresh seeds it is {score(metric, winner['val_score']['mean'])}. "
    ) + (
        f"The search promised {too_much} too much, the optimism of choosing the best of many."
        if winner["optimism"] > 0
        else "The search did not promise too much."
    )


def failures(findings: Findings) -> list[str]:
    """Why trials failed, the most frequent reasons first; nothing where none did."""
    failed = findings.trials[findings.trials["state"] == "failed"]
    if failed.empty:
        return []
    counts = failed["reason"].replace("", None).fillna("no reason recorded").value_counts()
    ranked = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))[:MOST_REASONS]
    told = "; ".join(f"{str(reason).rstrip('.')} ({count})" for reason, count in ranked)
    cut = int(failed["reason"].astype(str).str.startswith(OUT_OF_TIME).sum())
    # What such a trial would have scored nobody knows, so whatever was proposed after it rests on the clock.
    limit = (
        [f"{amount(cut, 'trial')} ran out of time: a faster machine may search on otherwise."] if cut else []
    )
    return [f"{amount(len(failed), 'trial')} failed: {told}.", *limit]


def data(findings: Findings) -> list[str]:
    """What the data are, and whether some appear twice."""
    card, told = findings.card, []
    if card.get("image_shape"):
        shape = " x ".join(str(length) for length in card["image_shape"])
        told.append(f"Images of {shape} (height, width, channels) in {len(findings.classes)} classes.")
    if card.get("kind") == "tokens":
        size = f"{card['input_shape'][0]:,} tokens of a vocabulary of {card['encoding']['vocabulary']:,}"
        told.append(f"Rows of {size} in {len(findings.classes)} classes.")
    elif "kind" in card:
        width = amount(card["input_shape"][0], "feature")
        told.append(f"Rows of {width} in {len(findings.classes)} classes, standardised by train.")
    if card.get("duplicates"):
        told.append(_duplicates(card["duplicates"], findings.noun))
    if card.get("sha256"):
        told.append(f"SHA-256 of the data: {card['sha256']}.")
    return told


def method(findings: Findings) -> list[str]:
    """How the study was done: enough to judge the numbers by."""
    study, dataset = findings.study, findings.study.dataset
    way = "highest" if study.objective.is_maximized else "lowest"
    number = amount(len(findings.conclusion["candidates"]), "candidate")
    each = ", and the best of each arm" if study.compared else ""
    seeds = amount(findings.conclusion["repeats"], "fresh seed")
    if study.compared and study.compared[0] == "model":
        *others, last = (str(value) for value in study.compared[1])
        models = f"models {', '.join(others)} and {last}" if others else f"model {last}"
    else:
        models = "a searched model" if "model" in study.space.names else f"model {study.model}"
    return [
        f"Trained {models} on {dataset.source}, study seed {study.seed}; "
        f"sought the {way} {findings.metric_name}.",
        *_searches(findings),
        f"{number} of the search (its best distinct configurations{each}) and the baseline were trained "
        f"anew on {seeds}. The winner is the candidate with the {way} mean {findings.metric_name}. "
        "Then the test split was opened, for the winner and the baseline alone.",
        f"Each interval of a test result is a 95 % interval over seeds and test {findings.noun}s at once: it "
        f"covers the chance in initial weights and shuffling, and that of these {findings.noun}s, which all "
        "models share. One of a validation score is a 95 % Student t interval over seeds alone, its "
        "differences paired by seed.",
        *_deterministic(findings),
    ]


def _deterministic(findings: Findings) -> list[str]:
    """Which models no seed changes, so that their intervals come from the inputs alone."""
    found = [who for who in ("winner", "baseline") if findings.conclusion[who]["is_deterministic"]]
    if not found:
        return []
    return [
        f"No seed changes the {' or the '.join(found)}: every repeat answers alike, and the interval comes "
        f"from the {findings.noun}s alone."
    ]


def _bought(findings: Findings) -> str:
    conclusion = findings.conclusion
    before, after = (
        score("accuracy", conclusion[side]["test_accuracy"]["mean"]) for side in ("baseline", "winner")
    )
    difference = Interval(**conclusion["difference"])
    inputs = amount(conclusion["num_test"], f"test {findings.noun}")
    over = f"{amount(conclusion['repeats'], 'seed')} and {inputs}"
    by = f"({change('accuracy', difference)} over {over})"
    if not difference.is_resolved:
        return (
            f"The study does not show a difference: the test accuracy is {before} with the baseline "
            f"and {after} with the winner of the search {by}."
        )
    if difference.mean > 0:
        return f"Tuning took the test accuracy from {before} to {after} {by}."
    return f"Tuning did harm: it took the test accuracy from {before} down to {after} {by}."


def _longer(conclusion: Mapping[str, Any]) -> list[str]:
    """Part of the gain may be owed to longer training, where it was longer."""
    winner, baseline = (int(conclusion[who]["configuration"]["epochs"]) for who in ("winner", "baseline"))
    told = f"The winner trains for {amount(winner, 'epoch')}, the baseline for {baseline:,}."
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


def _twins(findings: Findings) -> list[str]:
    """Arms whose trials are all equal, each configuration and each score."""
    alike: dict[str, list[str]] = {}
    for arm in findings.arms:
        alike.setdefault(findings.of_arm(arm).drop(columns="arm").to_csv(index=False), []).append(arm)
    return max((arms for arms in alike.values() if len(arms) > 1), key=len, default=[])


def _of_arms(findings: Findings, key: str, twins: Sequence[str]) -> str:
    """Which arm's best candidate did better, or why that stays open."""
    leaders = findings.leaders()
    # Of twins the one with the best candidate stands for all.
    hidden = [arm for arm in dict.fromkeys((*leaders, *findings.arms)) if arm in twins][1:]
    leaders = {arm: best for arm, best in leaders.items() if arm not in hidden}
    missing = " or ".join(arm for arm in findings.arms if arm not in {*leaders, *hidden})
    if len(leaders) < 2:
        return f"Which {key} is better stays open: none of the confirmed candidates is of {missing}."
    absent = f" No candidate of {missing} was confirmed." if missing else ""
    return f"Compared by {key}, {_contest(findings, leaders)}{absent}"


def _contest(findings: Findings, leaders: Mapping[str, Mapping[str, Any]]) -> str:
    """How the best arm's best candidate did against the next arm's, seed by seed."""
    (first, best), (second, next_best) = list(leaders.items())[:2]
    difference = paired_interval(best["scores"], next_best["scores"])
    metric, seeds = findings.metric, len(best["scores"])
    means = [score(metric, one["val_score"]["mean"]) for one in (best, next_best)]
    degree = "better than that of" if len(findings.arms) == 2 else "best, before that of"
    if abs(difference.mean) < NO_DIFFERENCE:
        degree = "the same as that of"
    resolved = "is resolved" if difference.is_resolved else "is not resolved: the two cannot be told apart"
    if difference.low == difference.high and abs(difference.mean) >= NO_DIFFERENCE:
        resolved = "comes from one set of validation images: no seed changes either, so nothing more is told"
    could = " ".join(["", *power.of_pair(metric, best["scores"], next_best["scores"])])
    return (
        f"the best candidate of {first} confirmed {degree} {second}: {findings.metric_name} {means[0]} "
        f"against {means[1]} ({change(metric, difference)}, paired over {seeds} seeds); "
        f"this difference {resolved}.{could}"
    )


def _searches(findings: Findings) -> list[str]:
    """One sentence for all arms that were searched alike."""
    alike: dict[str, list[str]] = {}
    for arm in findings.study.arms:
        alike.setdefault(_search(arm), []).append(arm.name)
    if findings.study.compared is None:
        return [f"Search: {how}" for how in alike]
    told = [f"{'Arm' if len(arms) == 1 else 'Arms'} {', '.join(arms)}: {how}" for how, arms in alike.items()]
    rest = len(told) - MOST_ROWS
    return told[:MOST_ROWS] + ([f"{amount(rest, 'more arm')} as the study file says."] if rest > 0 else [])


def _search(arm: Arm) -> str:
    search = arm.search
    limits = [f"{amount(search.trials, 'trial')} at most"]
    if search.minutes is not None:
        limits.append(f"no new one after {search.minutes:g} minutes")
    if search.patience is not None:
        limits.append(f"an end after {amount(search.patience, 'trial')} without a better score")
    return (
        f"engine {search.engine}, sampler {arm.sampler}, pruner {arm.pruner}; {', '.join(limits)}; "
        f"{search.parallel} in flight, {amount(arm.epochs, 'epoch')} each."
    )


def _duplicates(found: Mapping[str, Mapping[str, Any]], noun: str) -> str:
    places = [(f"within {split}", seen) for split, seen in found.get("within", {}).items()]
    for pair, seen in found.get("across", {}).items():
        first, _, second = pair.partition("/")
        places.append((f"of {second} also in {first}", seen))
    told = [
        f"{seen[f'num_{noun}s']:,} {place}"
        + (f" ({seen['num_other_label']:,} under another label)" if seen.get("num_other_label") else "")
        for place, seen in places
        if seen.get(f"num_{noun}s")
    ]
    things = f"{noun.capitalize()}s"
    return f"{things} that appear twice: {', '.join(told)}." if told else f"No {noun} appears twice."
