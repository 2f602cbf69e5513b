"""What tuning bought and what a search has promised, in sentences: plain text, not yet escaped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.report.findings import Findings
from pipeline.report.tables import amount, change, gap, score, setting
from pipeline.statistics import Interval

# Below it Student's t makes an interval twice as wide as the spread of seeds alone would, and more.
FEW_SEEDS = 5


def bought(findings: Findings) -> str:
    """What the winner has before the baseline on test, in a sentence; a second where few seeds carry it."""
    conclusion = findings.conclusion
    before, after = (
        score("accuracy", conclusion[side]["test_accuracy"]["mean"]) for side in ("baseline", "winner")
    )
    difference, seeds = Interval(**conclusion["difference"]), conclusion["repeats"]
    over = f"{amount(seeds, 'seed')} and {amount(conclusion['num_test'], f'test {findings.noun}')}"
    by = f"({change('accuracy', difference)} over {over})"
    few = f" That rests on {seeds} seeds: {FEW_SEEDS} or more are better." if seeds < FEW_SEEDS else ""
    if not difference.is_resolved:
        return (
            f"The study does not show a difference: the test accuracy is {before} with the baseline "
            f"and {after} with the winner of the search {by}.{few}"
        )
    if difference.mean > 0:
        return f"Tuning took the test accuracy from {before} to {after} {by}.{few}"
    return f"Tuning did harm: it took the test accuracy from {before} down to {after} {by}.{few}"


def parts(conclusion: Mapping[str, Any]) -> list[str]:
    """What of the gain longer training bought, and what tuning; bare epochs where that was not measured."""
    winner, baseline = (int(conclusion[who]["configuration"]["epochs"]) for who in ("winner", "baseline"))
    if found := conclusion["parts"]:
        longer, tuning = (change("accuracy", Interval(**found[part])) for part in ("longer", "tuning"))
        return [
            f"Training the baseline for {amount(found['epochs'], 'epoch')} instead of {baseline:,} alone "
            f"gives {longer}; tuning gives {tuning}, on top of that."
        ]
    told = f"The winner trains for {amount(winner, 'epoch')}, the baseline for {baseline:,}."
    models = {conclusion[who]["configuration"].get("model") for who in ("winner", "baseline")}
    # Epochs of two kinds of models do not compare.
    return [told] if winner != baseline and len(models) == 1 else []


def changes(findings: Findings) -> list[str]:
    """Where each trial changes one value of the baseline: which changes help, which harm."""
    study = findings.study
    # Arms of other compared values differ from the baseline in those too.
    if study.compared or any(arm.sampler != "one_at_a_time" for arm in study.arms):
        return []
    sign = 1 if study.objective.is_maximized else -1
    plain, found = study.baseline.configuration, findings.conclusion["candidates"]
    told: dict[str, list[str]] = {"help": [], "harm": [], "neither": []}
    for one in found:
        difference = Interval(**one["over_baseline"])
        effect = "help" if sign * difference.mean > 0 else "harm"
        active = study.space.active(one["configuration"])
        changed = [name for name, value in active.items() if value != plain[name]]
        words = " and ".join(f"{name} {setting(active[name])}" for name in changed)
        told[effect if difference.is_resolved else "neither"].append(words)
    return [
        f"Of {amount(len(found), 'change')} of the baseline, each by itself, in {findings.metric_name} "
        f"{over_val(findings)}: shown to help {_listed(told['help'])}; to harm {_listed(told['harm'])}; "
        f"not resolved {_listed(told['neither'])}."
    ]


def _listed(words: list[str]) -> str:
    return ", ".join(words) or "none"


def optimism(findings: Findings) -> str:
    """How much better the search's own best, and the winner, looked there than on fresh seeds."""
    conclusion, metric = findings.conclusion, findings.metric
    best, winner = conclusion["search_best"], conclusion["winner"]
    who = "The search's own best"
    if not best["is_first"]:
        who = f"{who} failed on a fresh seed; the best of the others"
    told = (
        f"{who} had a {findings.metric_name} of {score(metric, best['search_score'])} there "
        f"and has {score(metric, best['val_score']['mean'])} on fresh seeds: {_too_much(metric, best)}."
    )
    if not winner["is_retrained"]:
        return told
    chosen = conclusion["candidates"][0]["val_score"]["mean"]
    return (
        f"{told} The winner had {score(metric, winner['search_score'])} in the search, "
        f"{score(metric, chosen)} on the fresh seeds that chose it, and has "
        f"{score(metric, winner['val_score']['mean'])} on others: {_too_much(metric, winner)}."
    )


def budget(findings: Findings) -> list[str]:
    """What the second half of the search bought, and its last three quarters, by the search's own best."""
    found = findings.conclusion["budgets"]
    whole = [part for part in ("first-quarter", "first-half") if part in found and found[part] is None]
    if whole:
        return [f"The search found its own best in the {whole[0].replace('-', ' ')} of its trials."]
    spans = {"first-half": "The second half of the search", "first-quarter": "its last three quarters"}
    told = [
        f"{span} bought {change(findings.metric, Interval(**found[part]))}"
        for part, span in spans.items()
        if part in found
    ]
    if not told:
        return []
    text = "; ".join(told)
    return [
        f"{text[0].upper()}{text[1:]} (by its own best, in {findings.metric_name}, {over_val(findings)})."
    ]


def over_val(findings: Findings) -> str:
    """What the interval of a difference on val covers."""
    seeds = amount(findings.conclusion["repeats"], "seed")
    if findings.conclusion["compared_over"] == "seeds":
        return f"paired over {seeds}"
    return f"over {seeds} and the validation {findings.noun}s"


def registered(findings: Findings) -> str:
    """Which of the winner's models is registered, and what it does itself."""
    winner, repeats = findings.conclusion["winner"], findings.conclusion["repeats"]
    place = winner["median_repeat"]
    middle = "" if repeats % 2 else ", the worse of the two in the middle"
    own, mean = winner["test_accuracies"][place], winner["test_accuracy"]["mean"]
    return (
        f"Registered is the model of repeat {place} (of 0 to {repeats - 1}), whose {findings.metric_name} is "
        f"the median{middle}: its own test accuracy is {score('accuracy', own)}, the mean of all "
        f"{score('accuracy', mean)}."
    )


def mcnemar(findings: Findings) -> str:
    """How winner and baseline differ on the inputs of the test split, for one pair of models."""
    found = findings.conclusion["mcnemar"]
    p_value = "p < 0.001" if found["p_value"] < 0.001 else f"p = {found['p_value']:.3f}"
    return (
        "Of the winner's and the baseline's model with the median score, only the winner's is right on "
        f"{amount(found['only_winner_right'], f'test {findings.noun}')} and only the baseline's on "
        f"{found['only_baseline_right']:,} (exact McNemar test, {p_value})."
    )


def _too_much(metric: str, one: Mapping[str, Any]) -> str:
    if one["optimism"] <= 0:
        return "nothing was promised too much"
    by = gap(metric, one["optimism"]).removeprefix("+")
    return f"{by} too much, the optimism of choosing the best of many"
