"""What each stage of a study costs beside the training itself.

Run     python -m benchmarks.overhead [STUDY] [--workers N]
Prints  for each stage its seconds, its processor seconds, and those among them in which trials were trained.

Each stage is the command that `dvc repro` runs, in a project of its own. Processor time is the whole tree's:
coordinator and workers. Training is what the trials' own clocks say, so with more workers than free cores it
counts waiting too; everything else is starting, tracing, recording, telling and measuring.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.here import facts, sentence, versions

ROOT = Path(__file__).parents[1]
STAGES = ("check", "prepare", "baseline", "search", "confirm", "report")


def main() -> int:
    """Run one study stage by stage and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("study", nargs="?", default="mnist-sample", help="a study of this repository")
    parser.add_argument(
        "--workers", type=int, help="as many workers in every stage; else as many as are worth it"
    )
    given = parser.parse_args()
    print(sentence(facts(), versions()), "\n", flush=True)
    print(f"{'stage':10} {'seconds':>8} {'processor':>10} {'training':>9}", flush=True)
    sums = [0.0, 0.0, 0.0]
    with tempfile.TemporaryDirectory(prefix="overhead-") as folder:
        own = Path(folder) / "studies" / given.study
        own.mkdir(parents=True)
        shutil.copy(ROOT / "studies" / given.study / "study.toml", own)
        for stage in STAGES:
            measured = (
                *spent(Path(folder), [stage, given.study], given.workers),
                trained(Path(folder), stage),
            )
            sums = [whole + part for whole, part in zip(sums, measured, strict=True)]
            print(f"{stage:10} {measured[0]:8.1f} {measured[1]:10.1f} {measured[2]:9.1f}", flush=True)
    print(f"{'all':10} {sums[0]:8.1f} {sums[1]:10.1f} {sums[2]:9.1f}")
    return 0


def spent(folder: Path, words: list[str], num_workers: int | None) -> tuple[float, float]:
    """Seconds and processor seconds of a command of `study` in a project's folder."""
    chosen = {"STUDY_WORKERS": str(num_workers)} if num_workers else {}
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **chosen},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, sum(after[:2]) - sum(before[:2])


def trained(folder: Path, stage: str) -> float:
    """Seconds in which the stage's recorded trials were trained."""
    records = (folder / "mlruns" / "searches").glob(f"*/{stage}-*/record.jsonl")
    lines = [line for record in records for line in record.read_text().splitlines()]
    return sum(float(json.loads(line.split(" ", 1)[1])["outcome"]["seconds"]) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
