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
from dataclasses import asdict
from pathlib import Path

import benchmarks.target
from benchmarks import here
from benchmarks.peers import workload
from benchmarks.peers.contestants import TENSORFLOW, Contestant
from benchmarks.peers.workload import RAW, STUDY, Workload
from benchmarks.target.progress import FILE
from benchmarks.target.results import TARGETS, Search, Step, chart, steps, summarize, table
from pipeline.stages.create import num_in_flight
from pipeline.study import template

EPOCHS = 20
LOOK_SECONDS = 0.5
PATIENCE_SECONDS = 20.0
ACCURACY_DIGITS = 5
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
TITLES = {name: one.title for name, one in CONTESTANTS.items()}
# What is changed of the study that `study new` writes.
CHANGES = (
    ('dataset   = "mnist-sample"', 'dataset   = "{dataset}"'),
    ("seed      = 20260101", "seed      = {seed}"),
    ("\nepochs = 5\n", "\nepochs = {epochs}\n"),
    ("trials   = 12", "trials   = 1000"),
)


def main() -> None:
    """Search by turns; after every seed print and write what has been found."""
    options = _options()
    if not options.sample and not os.environ.get(RAW):
        sys.exit(f"{RAW} must name a folder of the four MNIST files; or try --sample.")
    dataset = "mnist-sample" if options.sample else "mnist"
    present = [one for one in map(CONTESTANTS.get, options.only or CONTESTANTS) if one and one.is_here()]
    searches: list[Search] = []
    with tempfile.TemporaryDirectory(prefix="target-", ignore_cleanup_errors=True) as name:
        prepared = Path(name) / "prepared"
        prepared.mkdir()
        given = workload.prepare(prepared, dataset, 1, EPOCHS)
        for seed in range(1, options.seeds + 1):
            # Begun by another each time: what a machine does by the minute meets all alike.
            for one in (*present[seed % len(present) :], *present[: seed % len(present)]):
                folder = Path(name) / f"{one.name}-{seed}"
                _give(one, folder, given, dataset, seed)
                searches.append(Search(one.name, seed, search(one, folder, 60 * options.minutes)))
                print(f"seed {seed}: {one.title}: {_words(searches[-1])}", flush=True)
            # Hours of measuring are not lost with the last minutes of them.
            if not options.sample:
                write(searches, 60 * options.minutes)
    machine = here.sentence(here.facts(), here.versions())
    print("\n" + table(summarize(searches, 60 * options.minutes), TITLES, machine))


def write(searches: Sequence[Search], most_seconds: float) -> None:
    """Write TARGET.md, target.svg and the entries of results.json; what others wrote there stays."""
    about, versions = here.facts(), here.versions()
    summary = summarize(searches, most_seconds)
    measured = {"machine": about, "versions": versions, "searches": [asdict(one) for one in searches]}
    here.keep(here.HOME, {"seconds_to_target": summary, "target": measured})
    (here.HOME / "TARGET.md").write_text(table(summary, TITLES, here.sentence(about, versions)))
    (here.HOME / "target.svg").write_text(chart(searches, TITLES, most_seconds))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.target",
        description=benchmarks.target.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=7, help="end a search after so long")
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


def search(one: Contestant, folder: Path, most_seconds: float) -> list[Step]:
    """Seconds from the start of the process, and the best validation accuracy from then on."""
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
    return steps(_seen(folder), began)


def _seen(folder: Path) -> Iterator[tuple[float, float]]:
    """Validation accuracies that the search has reached, each with the time of day."""
    path = folder / FILE
    for line in path.read_text().splitlines() if path.exists() else []:
        # The last one may be half written.
        with suppress(json.JSONDecodeError):
            noted = json.loads(line)
            # In float32, 11,784 right of 12,000 are a little less than 0.982.
            yield round(noted["val_accuracy"], ACCURACY_DIGITS), noted["time"]


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _words(one: Search) -> str:
    return ", ".join(f"{100 * target:.1f} %: {one.seconds_to(target) or '–'} s" for target in TARGETS)


if __name__ == "__main__":
    main()
