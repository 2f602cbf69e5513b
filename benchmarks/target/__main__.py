"""The rounds: for each seed every contestant by turns, ended when it holds the highest target."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import benchmarks.target
from benchmarks.peers import workload
from benchmarks.peers.contestants import TENSORFLOW, Contestant
from benchmarks.peers.workload import RAW, STUDY, Workload
from benchmarks.target.progress import FILE
from pipeline.stages.desk import num_in_flight
from pipeline.study import template

TARGETS = (0.975, 0.980, 0.982)
EPOCHS = 20
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 20.0
RESULTS = workload.ROOT / "benchmarks" / "results.json"
CONTESTANTS = {
    one.name: one
    for one in (
        Contestant("keras_tuner", "Keras Tuner, Hyperband", ("benchmarks.target.with_keras_tuner",)),
        Contestant("optuna", "Optuna, TPE and median pruner", ("benchmarks.target.with_optuna",)),
        Contestant("ray_tune", "Ray Tune, ASHA", ("benchmarks.target.with_ray",), TENSORFLOW, "ray"),
        Contestant(
            "ours_tensorflow",
            "This project",
            ("benchmarks.target.with_this_project", "search", STUDY),
            is_ours=True,
        ),
    )
}
# What is changed of the study that `study new` writes.
CHANGES = (
    ('dataset   = "mnist-sample"', 'dataset   = "{dataset}"'),
    ("seed      = 20260101", "seed      = {seed}"),
    ("\nepochs = 5\n", "\nepochs = {epochs}\n"),
    ("trials   = 12", "trials   = 1000"),
)

Reached = dict[str, float | None]


def main() -> None:
    """Search by turns, then print and write the seconds to each target."""
    options = _options()
    if not options.sample and not os.environ.get(RAW):
        sys.exit(f"{RAW} must name a folder of the four MNIST files; or try --sample.")
    dataset = "mnist-sample" if options.sample else "mnist"
    chosen = [CONTESTANTS[name] for name in options.only or CONTESTANTS]
    here = [one for one in chosen if one.is_here()]
    found: dict[str, list[Reached]] = {one.name: [] for one in here}
    with tempfile.TemporaryDirectory(prefix="target-", ignore_cleanup_errors=True) as name:
        prepared = Path(name) / "prepared"
        prepared.mkdir()
        given = workload.prepare(prepared, dataset, 1, EPOCHS)
        for seed in range(1, options.seeds + 1):
            # Begun by another each time: what a machine does by the minute meets all alike.
            for one in (*here[seed % len(here) :], *here[: seed % len(here)]):
                folder = Path(name) / f"{one.name}-{seed}"
                _give(one, folder, given, dataset, seed)
                found[one.name].append(search(one, folder, 60 * options.minutes))
                print(f"seed {seed}: {one.title}: {_words(found[one.name][-1])}", flush=True)
            # After every seed: hours of measuring are not lost with the last minutes of them.
            results = {name: summarize(reached, 60 * options.minutes) for name, reached in found.items()}
            if not options.sample:
                others = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
                RESULTS.write_text(json.dumps({**others, "seconds_to_target": results}, indent=1) + "\n")
    print(json.dumps(results, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.target",
        description=benchmarks.target.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=20, help="end a search after so long")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=list(CONTESTANTS))
    parser.add_argument("--sample", action="store_true", help="5,000 images instead of all; a quick try")
    return parser.parse_args()


def _give(one: Contestant, folder: Path, given: Workload, dataset: str, seed: int) -> None:
    """Put the search and the prepared images where the contestant looks for them."""
    folder.mkdir()
    if not one.is_ours:
        task = {"seed": seed, "epochs": EPOCHS, "data_folder": given.data_folder}
        (folder / workload.LIST_FILE).write_text(json.dumps(task))
        return
    given.give_study(folder, study_text(dataset, seed))


def study_text(dataset: str, seed: int) -> str:
    """The study that `study new` writes here, with the CHANGES made."""
    text = template(STUDY, num_in_flight())
    for old, new in CHANGES:
        if text.count(old) != 1:
            sys.exit(f"The template must hold {old!r} once.")
        text = text.replace(old, new.format(dataset=dataset, seed=seed, epochs=EPOCHS))
    return text


def search(one: Contestant, folder: Path, most_seconds: float) -> Reached:
    """Seconds from the start of the process until each target was held; None: not within the time."""
    words = [sys.executable, "-m", *one.words]
    with (folder / "log").open("wb") as log:
        began = time.time()
        process = subprocess.Popen(
            words,
            cwd=folder,
            env=workload.environment(one.environment),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while process.poll() is None and time.time() - began < most_seconds:
                if any(accuracy >= TARGETS[-1] for accuracy, _ in _seen(folder)):
                    break
                time.sleep(LOOK_SECONDS)
            has_failed = bool(process.poll())
        finally:
            _end(process)
    if has_failed:
        sys.exit(f"{one.title} failed:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
    return reached(list(_seen(folder)), began)


def reached(seen: Sequence[tuple[float, float]], began: float) -> Reached:
    """Seconds from `began` to the first of the accuracies, each with its time, that holds each target."""
    return {
        f"{target:.3f}": next((round(at - began, 1) for accuracy, at in seen if accuracy >= target), None)
        for target in TARGETS
    }


def summarize(found: Sequence[Reached], most_seconds: float) -> dict[str, dict[str, Any]]:
    """By target: median, lowest and highest of the searches that got there, and how many of all did."""
    summary = {}
    for target in found[0] if found else ():
        seconds = [one[target] for one in found]
        got = [value for value in seconds if value is not None]
        # A search that did not get there counts as longer than all: else a median would flatter it.
        ranked = sorted(value if value is not None else float("inf") for value in seconds)
        middle = median(ranked)
        summary[target] = {
            "median": None if middle == float("inf") else round(middle, 1),
            "low": min(got, default=None),
            "high": max(got, default=None),
            "reached": len(got),
            "searches": len(found),
            "ended_after": most_seconds,
        }
    return summary


def _seen(folder: Path) -> Iterator[tuple[float, float]]:
    """Validation accuracies that the search has reached, each with the time of day."""
    path = folder / FILE
    for line in path.read_text().splitlines() if path.exists() else []:
        # The last one may be half written.
        with suppress(json.JSONDecodeError):
            noted = json.loads(line)
            yield noted["val_accuracy"], noted["time"]


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _words(found: Reached) -> str:
    return ", ".join(f"{100 * float(target):.1f} %: {seconds or '–'} s" for target, seconds in found.items())


if __name__ == "__main__":
    main()
