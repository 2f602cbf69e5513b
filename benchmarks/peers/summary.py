"""Runs to figures, and figures to a table that people read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from statistics import fmean, median
from typing import Any

from benchmarks import here
from benchmarks.peers.contestants import CONTESTANTS

Json = dict[str, Any]
REFERENCE = "keras_tuner"


def summarize(runs: Sequence[Json]) -> Json:
    """The figures by contestant.

    Args:
        runs: one entry per contestant and repeat, with its `name`, `trials_per_hour`, `seconds`,
            `cpu_seconds`, `largest_mb`, `all_mb` and `val_accuracy` (by configuration).
    """
    names = [name for name in CONTESTANTS if any(run["name"] == name for run in runs)]
    of = {name: [run for run in runs if run["name"] == name] for name in names}

    def figures(key: str, digits: int) -> Json:
        return {name: _spread([run[key] for run in of[name]], digits) for name in names}

    return {
        "trials_per_hour": figures("trials_per_hour", 1),
        "peak_memory_mb": figures("largest_mb", 0),
        "peak_memory_all_processes_mb": figures("all_mb", 0),
        "wall_seconds": figures("seconds", 2),
        "cpu_seconds": figures("cpu_seconds", 2),
        "val_accuracy": {name: _means([run["val_accuracy"] for run in of[name]]) for name in names},
        "repeats": max((len(found) for found in of.values()), default=0),
    }


def _spread(values: Sequence[float], digits: int) -> Json:
    ends = {"median": median(values), "low": min(values), "high": max(values)}
    return {**{name: round(value, digits) for name, value in ends.items()}, "repeats": len(values)}


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    return [round(fmean(column), 5) for column in zip(*rows, strict=True)]


def table(results: Mapping[str, Any]) -> str:
    """The figures as a markdown table, what they mean, and the machine."""
    rates, settings = results["trials_per_hour"], results["settings"]
    lines = [
        "| | trials an hour | times Keras Tuner | seconds | processor seconds | times the floor "
        "| memory, largest process | memory, all processes | mean val_accuracy |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    reference = rates.get(REFERENCE, {}).get("median")
    for name, rate in rates.items():
        cells = [
            CONTESTANTS[name].title,
            _range(rate, "{:,.0f}"),
            f"{rate['median'] / reference:.1f}" if reference else "–",
            _range(results["wall_seconds"][name], "{:,.1f}"),
            _range(results["cpu_seconds"][name], "{:,.1f}"),
            f"{results['cpu_seconds'][name]['median'] / results['floor']['cpu_seconds']:.1f}",
            *(_memory(results[key][name]) for key in ("peak_memory_mb", "peak_memory_all_processes_mb")),
            f"{fmean(results['val_accuracy'][name]):.4f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    for name, reason in results["not_measured"].items():
        lines.append(f"| {CONTESTANTS[name].title} | {reason} |" + " |" * 7)
    return "\n".join(
        [
            *lines,
            "",
            f"{settings['trials']} configurations × {settings['epochs']} epochs on {settings['dataset']} "
            f"({settings['num_train']:,} images to train on, {settings['num_val']:,} to validate on); "
            f"{_rounds(results['repeats'])}, medians (lowest–highest). Each contestant is "
            "a process of its own, measured from its start to its end. Memory in MiB.",
            "",
            "The floor: the list's products of matrices and Adam's traffic take at least "
            f"{results['floor']['cpu_seconds']:,.1f} processor seconds at the best rates of a core here, so "
            f"{results['floor']['trials_per_hour']:,.0f} trials an hour are the most here.",
            "",
            here.sentence(results["machine"], results["versions"]),
            "",
        ]
    )


def _rounds(repeats: int) -> str:
    return f"{repeats} rounds by turns" if repeats != 1 else "1 round"


def _range(figure: Mapping[str, float], form: str) -> str:
    ends = f" ({form.format(figure['low'])}–{form.format(figure['high'])})" if figure["repeats"] > 1 else ""
    return form.format(figure["median"]) + ends


def _memory(figure: Mapping[str, float]) -> str:
    return _range(figure, "{:,.0f}") if figure["high"] else "–"


def accuracies(configurations: Sequence[Mapping[str, Any]], found: Mapping[str, Sequence[float]]) -> str:
    """What each contestant reached on each configuration: all must train the same thing."""
    names = list(found)
    widths = [max(9, len(name)) for name in names]
    lines = ["val_accuracy after the last epoch, mean over the repeats"]
    lines.append(f"{'':44}" + "  ".join(f"{name:>{w}}" for name, w in zip(names, widths, strict=True)))
    rows = [(_words(row), [found[name][i] for name in names]) for i, row in enumerate(configurations)]
    rows.append(("mean", [fmean(found[name]) for name in names]))
    for label, values in rows:
        lines.append(f"{label:44}" + "  ".join(f"{v:>{w}.4f}" for v, w in zip(values, widths, strict=True)))
    return "\n".join([*lines, _difference(found)])


def _words(row: Mapping[str, Any]) -> str:
    return (
        f"{row['hidden_layers']}×{row['hidden_units']} batch {row['batch_size']} "
        f"rate {row['learning_rate']:g} dropout {row['dropout']:g}"
    )


def _difference(found: Mapping[str, Sequence[float]]) -> str:
    """How far the means lie apart, beside what chance alone makes of two means."""
    means = [fmean(values) for values in found.values()]
    columns = list(zip(*found.values(), strict=True))
    if len(means) < 2 or len(columns) < 2:
        return ""
    pooled = fmean(sum((v - fmean(column)) ** 2 for v in column) / (len(column) - 1) for column in columns)
    error = sqrt(2 * pooled / len(columns))
    return (
        f"Largest difference between two means: {100 * (max(means) - min(means)):.2f} percentage points; "
        f"the standard error of one difference is {100 * error:.2f}."
    )
