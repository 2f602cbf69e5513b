"""Whether a trial costs the same when the search already holds a thousand others.

Run     python -m benchmarks.growth [--trials 1000]
Prints  seconds per trial by how many trials were held; the whole search's processor time and peak memory.

The trials are so small (1,150 images of 8x8, one epoch) that nearly all of their time is asking, recording
and logging: sampler, local record, Optuna's storage and MLflow, each as in any search.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.peers.measuring import Measured, measure
from benchmarks.peers.workload import SPACE, STUDY, environment, write_project

STEPS = (10, 30, 100, 300, 1_000, 3_000)
STUDY_TEXT = """\
question  = "Does the time per trial stay flat?"
dataset   = "digits"
model     = "mlp"
seed      = 1
objective = {{ maximize = "val_accuracy" }}

[baseline]
epochs = 1

[fixed]
epochs = 1

{space}
[search]
trials = {trials}
"""


def main() -> None:
    """Search, then print what each stretch of the search took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=1_000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory(prefix="growth-") as name:
        folder = Path(name)
        write_project(folder, STUDY_TEXT.format(space=SPACE, trials=trials))
        _study(folder, "prepare")
        measured = _study(folder, "search")
        print("trials held   seconds per trial")
        for first, last, seconds in stretches(_elapsed(folder)):
            print(f"{first:5} to {last:5}   {seconds:.3f}")
    print(f"whole search  {measured.seconds:.1f} s, processor {measured.cpu_seconds:.1f} s, ", end="")
    print(f"{measured.largest_mb:,.0f} MiB in the largest process, {measured.all_mb:,.0f} MiB in all")


def stretches(elapsed: list[float]) -> Iterator[tuple[int, int, float]]:
    """From how many trials to how many, and the seconds per trial between.

    Args:
        elapsed: seconds since the start at each outcome, ascending.
    """
    marks = [*(step for step in STEPS if step < len(elapsed)), len(elapsed)]
    for first, last in pairwise(marks):
        yield first, last, (elapsed[last - 1] - elapsed[first - 1]) / (last - first)


def _study(folder: Path, verb: str) -> Measured:
    words = [sys.executable, "-m", "pipeline", verb, STUDY]
    log = folder / f"{verb}.log"
    measured = measure(words, folder, environment({}), log)
    if measured.status:
        sys.exit(log.read_text())
    return measured


def _elapsed(folder: Path) -> list[float]:
    """Seconds since the start of the search at each outcome, in the order of the record."""
    [path] = folder.glob(f"mlruns/searches/{STUDY}/search-*/record.jsonl")
    return [json.loads(line.split(" ", 1)[1])["elapsed_seconds"] for line in path.read_text().splitlines()]


if __name__ == "__main__":
    main()
