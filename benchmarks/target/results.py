"""Searches to figures, and figures to a table and a picture."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

TARGETS = (0.975, 0.980, 0.982)
# Source: Okabe and Ito (2008), Color universal design: its blue for the project, others for the peers.
COLOURS = {
    "keras_tuner": "#999999",
    "optuna": "#E69F00",
    "ray_tune": "#CC79A7",
    "ours_tensorflow": "#0072B2",
}

Json = dict[str, Any]
Step = tuple[float, float]


@dataclass(frozen=True)
class Search:
    """One search of one contestant.

    Attributes:
        steps: seconds since its process began, and the validation accuracy that was then the best so far.
    """

    name: str
    seed: int
    steps: Sequence[Step]

    def seconds_to(self, target: float) -> float | None:
        """When it first held the accuracy; None: never."""
        return next((seconds for seconds, accuracy in self.steps if accuracy >= target), None)


def steps(seen: Iterable[tuple[float, float]], began: float) -> list[Step]:
    """The bests so far, of accuracies with their time of day in the order of that time."""
    best = 0.0
    kept = []
    for accuracy, at in seen:
        if accuracy > best:
            best = accuracy
            kept.append((round(at - began, 1), accuracy))
    return kept


def summarize(searches: Sequence[Search], most_seconds: float) -> Json:
    """By contestant and target: median, lowest and highest of the searches that got there, how many did."""
    summary: Json = {}
    for name in dict.fromkeys(search.name for search in searches):
        own = [search for search in searches if search.name == name]
        summary[name] = {}
        for target in TARGETS:
            found = [search.seconds_to(target) for search in own]
            got = [seconds for seconds in found if seconds is not None]
            # A search that did not get there counts as longer than all: else a median would flatter it.
            middle = median(seconds if seconds is not None else float("inf") for seconds in found)
            summary[name][f"{target:.3f}"] = {
                "median": None if middle == float("inf") else round(middle, 1),
                "low": min(got, default=None),
                "high": max(got, default=None),
                "reached": len(got),
                "searches": len(found),
                "ended_after": most_seconds,
            }
    return summary


def table(summary: Mapping[str, Any], titles: Mapping[str, str], machine: str) -> str:
    """The figures as a markdown table, and what they mean."""
    columns = [f"{100 * target:.1f} %" for target in TARGETS]
    lines = [
        f"| seconds to a validation accuracy of | {' | '.join(columns)} |",
        "|---|" + "---:|" * len(columns),
    ]
    lines += [
        f"| {titles[name]} | {' | '.join(_cell(figure) for figure in of.values())} |"
        for name, of in sorted(summary.items(), key=lambda item: list(titles).index(item[0]))
    ]
    some = next(iter(next(iter(summary.values())).values()))
    return "\n".join(
        [
            *lines,
            "",
            f"Medians of {some['searches']} searches, each with a seed of its own (lowest–highest of those "
            "that got there, and how many did, where not all did), counted from the start of the process. A "
            f"search was ended when it held {columns[-1]}, or after {some['ended_after']:,.0f} s. This "
            "project tries the centre of the space first, the others begin at random points: each as its "
            "defaults are.",
            "",
            machine,
            "",
        ]
    )


def _cell(figure: Mapping[str, Any]) -> str:
    middle, some = figure["median"], figure["reached"]
    words = f"more than {figure['ended_after']:,.0f}" if middle is None else f"{middle:,.0f}"
    if some:
        words += f" ({figure['low']:,.0f}–{figure['high']:,.0f})"
    return words if some == figure["searches"] else f"{words}, {some} of {figure['searches']}"


def chart(searches: Sequence[Search], titles: Mapping[str, str], most_seconds: float) -> str:
    """The best validation accuracy so far of every search against its seconds, as an SVG document."""
    import matplotlib as mpl

    mpl.use("svg")
    # Else every drawing of the same figures would be another file.
    mpl.rcParams["svg.hashsalt"] = "target"
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8.8, 4.4), layout="constrained")
    named: set[str] = set()
    for search in (one for one in searches if one.steps):
        seconds, accuracies = zip(*search.steps, (most_seconds, search.steps[-1][1]), strict=True)
        label = None if search.name in named else titles[search.name]
        named.add(search.name)
        axes.step(seconds, accuracies, where="post", color=COLOURS[search.name], label=label, linewidth=1.3)
    for target in TARGETS:
        axes.axhline(target, color="#1a1a1a", linewidth=0.6, linestyle=":")
    axes.set(xscale="log", ylim=(0.95, 0.985), xlim=(5, most_seconds))
    axes.set(xlabel="seconds since the start of the process", ylabel="best val_accuracy so far")
    axes.set_title("The best network that a search holds, against time (one line a search)")
    axes.legend(loc="lower right")
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    plt.close(figure)
    return text.getvalue()
