"""What a study has found, in sentences: plain text, not yet escaped for any page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report import arms, gains
from pipeline.report.findings import Findings
from pipeline.report.tables import MOST_ROWS, amount
from pipeline.study import Arm
from pipeline.trial import OUT_OF_TIME

MOST_REASONS = 3


def answer(findings: Findings) -> str:
    """The study's answer with its interval, in one or two sentences."""
    return " ".join(answers(findings))


def answers(findings: Findings) -> list[str]:
    """What tuning bought, and what longer training; then which of the compared arms did better."""
    return [
        gains.bought(findings),
        *gains.parts(findings.conclusion),
        *gains.changes(findings),
        *arms.compared(findings),
    ]


def champion(conclusion: Mapping[str, Any]) -> str:
    """Whether the winner is champion now, and why."""
    decided = conclusion["champion"]
    told = "The winner is now champion" if decided["granted"] else "The winner was not made champion"
    reason = str(decided.get("reason") or "").strip().rstrip(".")
    return f"{told}: {reason}." if reason else f"{told}."


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
    chosen = f"search (its best distinct configurations{each}"
    chosen = "searches (the best of each" if study.search.searches > 1 else chosen
    seeds = amount(findings.conclusion["repeats"], "fresh seed")
    longer = ", at its own epochs and at the search's" if findings.conclusion["parts"] else ""
    if "model" in study.compared:
        *others, last = map(str, study.compared["model"])
        models = f"models {', '.join(others)} and {last}" if others else f"model {last}"
    else:
        models = "a searched model" if "model" in study.space.names else f"model {study.model}"
    return [
        f"Trained {models} on {dataset.source}, study seed {study.seed}; "
        f"sought the {way} {findings.metric_name}.",
        *_searches(findings),
        f"{number} of the {chosen}) and the baseline were trained "
        f"anew on {seeds}. The winner is the candidate with the {way} mean {findings.metric_name}. "
        f"{_again(findings)}Then the test split was opened, for the winner and the baseline{longer}, alone.",
        f"Each interval of a test result is a 95 % interval over seeds and test {findings.noun}s at once: it "
        f"covers the chance in initial weights and shuffling, and that of these {findings.noun}s, which all "
        "models share. One of a validation score is a 95 % Student t interval over seeds alone; one of a "
        f"difference on val is {_on_val(findings)}.",
        *_deterministic(findings),
    ]


def _again(findings: Findings) -> str:
    """Why the winner's models are not those that were chosen among."""
    if not findings.conclusion["winner"]["is_retrained"]:
        return ""
    return (
        "As the seeds that choose flatter what they choose, it was trained once more on as many others, and "
        "those models alone are reported. "
    )


def _on_val(findings: Findings) -> str:
    if findings.conclusion["compared_over"] == "seeds":
        return "over seeds alone, paired by seed, as no answers give a metric of the user's own"
    return f"over seeds and validation {findings.noun}s at once, as on test"


def _deterministic(findings: Findings) -> list[str]:
    """Which models no seed changes, so that their intervals come from the inputs alone."""
    found = [who for who in ("winner", "baseline") if findings.conclusion[who]["is_deterministic"]]
    if not found:
        return []
    return [
        f"No seed changes the {' or the '.join(found)}: every repeat answers alike, and the interval comes "
        f"from the {findings.noun}s alone."
    ]


def _searches(findings: Findings) -> list[str]:
    """One sentence for all arms that were searched alike."""
    alike: dict[str, list[str]] = {}
    for arm in findings.study.arms:
        alike.setdefault(_search(arm), []).append(arm.name)
    if len(findings.arms) == 1:
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
