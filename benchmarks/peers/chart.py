"""The figures as a picture: one bar per contestant, its range drawn over its end, as plain SVG."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from math import ceil, floor, log10
from typing import Any

from benchmarks.peers.contestants import CONTESTANTS

WIDTH, LEFT, RIGHT, TOP, ROW, BAR, FOOT = 880, 280, 175, 74, 38, 22, 62
# Source: Okabe and Ito (2008), Color universal design: its blue for the project, a grey for the others.
OURS, PEER, INK, QUIET, GRID = "#0072B2", "#9aa0a6", "#1a1a1a", "#5f6368", "#e3e3e3"
MAX_TICKS = 6


def chart(results: Mapping[str, Any]) -> str:
    """Trials an hour, as an SVG document that stands by itself."""
    rates, settings = results["trials_per_hour"], results["settings"]
    missing = results["not_measured"]
    height = TOP + ROW * len(rates) + FOOT + (18 if missing else 0)
    highest = max((rate["high"] for rate in rates.values()), default=1.0)
    step = _step(highest)
    end = step * ceil(highest / step)
    scale = (WIDTH - LEFT - RIGHT) / end
    floor_line = TOP + ROW * len(rates)
    subtitle = (
        f"{settings['trials']} configurations × {settings['epochs']} epochs, {settings['dataset']}, "
        f"the whole process; bar: median of {results['repeats']}, line: lowest to highest"
    )
    machine = f"{results['machine']['processor']}, {results['machine']['cores']} cores"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" font-family="system-ui, sans-serif" font-size="14">',
        f"<title>Trials an hour</title><desc>{escape(_description(rates))}</desc>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(20, 30, "Trials an hour (more is better)", size=18, weight=600),
        _text(20, 52, subtitle, fill=QUIET, size=13),
        *_axis(step, end, scale, floor_line),
        *(
            line
            for index, (name, rate) in enumerate(rates.items())
            for line in _bar(name, rate, TOP + ROW * index, scale)
        ),
        _text(20, floor_line + 46, machine, fill=QUIET, size=12),
    ]
    if missing:
        words = "; ".join(f"{CONTESTANTS[name].title}: {reason}" for name, reason in missing.items())
        lines.append(_text(20, floor_line + 64, words, fill=QUIET, size=12))
    return "\n".join([*lines, "</svg>", ""])


def _bar(name: str, rate: Mapping[str, float], top: float, scale: float) -> Iterator[str]:
    middle = top + ROW / 2
    is_ours = CONTESTANTS[name].is_ours
    low, high = LEFT + rate["low"] * scale, LEFT + rate["high"] * scale
    yield _text(LEFT - 10, middle + 5, CONTESTANTS[name].title, anchor="end", weight=600 if is_ours else 400)
    yield (
        f'<rect x="{LEFT}" y="{middle - BAR / 2:.1f}" width="{rate["median"] * scale:.1f}" height="{BAR}" '
        f'fill="{OURS if is_ours else PEER}"/>'
    )
    words = f"{rate['median']:,.0f}"
    if rate["repeats"] > 1:
        yield (
            f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}M{low:.1f} {middle - 5:.1f}v10M{high:.1f} '
            f'{middle - 5:.1f}v10" stroke="{INK}" stroke-width="1.5" fill="none"/>'
        )
        words += f" ({rate['low']:,.0f}–{rate['high']:,.0f})"
    yield _text(high + 8, middle + 5, words, weight=600 if is_ours else 400)


def _axis(step: float, end: float, scale: float, bottom: float) -> Iterator[str]:
    for index in range(round(end / step) + 1):
        x = LEFT + index * step * scale
        yield f'<path d="M{x:.1f} {TOP - 4}V{bottom + 4}" stroke="{GRID}"/>'
        yield _text(x, bottom + 20, f"{index * step:,.0f}", anchor="middle", fill=QUIET, size=12)


def _step(highest: float) -> float:
    """1, 2 or 5 times a power of ten, so that few enough ticks reach the highest value."""
    power = 10.0 ** floor(log10(max(highest, 1.0) / MAX_TICKS))
    return next(step for factor in (1, 2, 5, 10) if highest / (step := max(1.0, factor * power)) <= MAX_TICKS)


def _text(
    x: float,
    y: float,
    words: str,
    *,
    anchor: str = "start",
    fill: str = INK,
    size: int = 14,
    weight: int = 400,
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" font-size="{size}" '
        f'font-weight="{weight}">{escape(words)}</text>'
    )


def _description(rates: Mapping[str, Any]) -> str:
    return ", ".join(f"{CONTESTANTS[name].title} {rate['median']:,.0f}" for name, rate in rates.items())
