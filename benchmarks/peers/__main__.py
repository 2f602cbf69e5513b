"""The rounds: every contestant by turns, a line for each, the results written after every round."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import benchmarks.peers
from benchmarks import floor, here
from benchmarks.peers import summary, workload
from benchmarks.peers.chart import chart
from benchmarks.peers.contestants import CONTESTANTS, NOT_INSTALLED, Contestant
from benchmarks.peers.measuring import measure
from benchmarks.peers.workload import RAW, Workload

LOG_LINES = 5

Json = dict[str, Any]


class Rounds:
    """What has been measured so far.

    Args:
        given: what every contestant trains.
        dataset: its data set's name.
        folder: where contestants write.
    """

    def __init__(self, given: Workload, dataset: str, folder: Path, began: float) -> None:
        self.given, self.dataset, self.folder, self.began = given, dataset, folder, began
        self.floor_seconds = _floor_seconds(given, folder)
        self.runs: list[Json] = []
        self.not_measured: dict[str, str] = {}
        self.num_complete = 0

    def say(self, words: str) -> None:
        """A line with the time since the start."""
        print(f"[{timedelta(seconds=round(time.monotonic() - self.began))}] {words}", flush=True)

    def play(self, contestants: Sequence[Contestant], repeats: int, minutes: float | None, out: Path) -> None:
        """Measure by turns; no round begins that would, by the longest so far, end after `minutes`."""
        longest = 0.0
        for number in range(repeats):
            began = time.monotonic()
            left = float("inf") if minutes is None else 60 * minutes - (began - self.began)
            if number and longest > left:
                self.say(f"no time for round {number + 1}: {longest:.0f} s are needed, {left:.0f} s left")
                return
            # Begun by another each time: what a machine does by the minute meets all alike.
            turn = number % len(contestants)
            for contestant in (*contestants[turn:], *contestants[:turn]):
                if contestant.name not in self.not_measured:
                    self._run(contestant, number, repeats)
            longest = max(longest, time.monotonic() - began)
            self.num_complete = number + 1
            self.write(out)

    def _run(self, contestant: Contestant, number: int, repeats: int) -> None:
        label = f"round {number + 1} of {repeats}: {contestant.name}"
        self.say(f"{label} begins")
        folder = self.folder / f"{contestant.name}-{number}"
        folder.mkdir()
        if contestant.is_ours:
            self.given.give_to_project(folder, self.dataset)
        else:
            self.given.give_to_peer(folder)
        load = os.getloadavg()[0]
        log_path = folder.with_suffix(".log")
        words = [sys.executable, "-m", *contestant.words]
        measured = measure(words, folder, workload.environment(contestant.environment), log_path)
        try:
            reached = workload.recorded_accuracies(folder, contestant.is_ours) if not measured.status else []
        except FileNotFoundError:
            reached = []
        trials = len(self.given.configurations)
        if len(reached) != trials:
            tail = "\n".join(log_path.read_text(errors="replace").splitlines()[-LOG_LINES:])
            self.say(f"{label} failed, and is left out from here on: exit status {measured.status}\n{tail}")
            self.not_measured[contestant.name] = f"failed in round {number + 1}"
            return
        rate = 3600 * trials / measured.seconds
        entry = {"name": contestant.name, "round": number + 1, "trials_per_hour": rate, **vars(measured)}
        self.runs.append({**entry, "load_before": load, "val_accuracy": reached})
        self.say(
            f"{label}: {measured.seconds:.1f} s, {rate:,.0f} trials an hour, {measured.cpu_seconds:.0f} s of "
            f"processor time, {measured.largest_mb:,.0f} MiB, load before {load:.1f}"
        )

    def results(self) -> Json:
        """Everything that results.json holds."""
        sizes = json.loads((Path(self.given.data_folder) / "card.json").read_text())["num_images"]
        settings = {
            "dataset": self.dataset,
            "trials": len(self.given.configurations),
            "epochs": self.given.epochs,
            "num_train": sizes["train"],
            "num_val": sizes["val"],
            "configurations": self.given.configurations,
        }
        return {
            **summary.summarize(self.runs),
            "floor": {
                "cpu_seconds": round(self.floor_seconds, 2),
                "trials_per_hour": round(
                    3600 * len(self.given.configurations) * here.num_cores() / self.floor_seconds, 1
                ),
            },
            "not_measured": self.not_measured,
            "machine": here.facts(),
            "versions": here.versions(),
            "settings": settings,
            "runs": self.runs,
        }

    def write(self, out: Path) -> None:
        """Write results.json, TABLE.md and chart.svg; figures of other benchmarks stay in results.json."""
        if not self.runs:
            return
        out.mkdir(parents=True, exist_ok=True)
        results = self.results()
        here.keep(out, results)
        (out / "TABLE.md").write_text(summary.table(results))
        (out / "chart.svg").write_text(chart(results))


def main() -> int:
    """Prepare, measure by turns, print; exit status 2 where something is missing."""
    options = _options()
    if not options.sample and not os.environ.get(RAW):
        print(f"{RAW} must name a folder of the four MNIST files; or try --sample.", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="peers-", ignore_cleanup_errors=True) as name:
        return _measure(options, Path(name))


def _measure(options: argparse.Namespace, folder: Path) -> int:
    began = time.monotonic()
    dataset = "mnist-sample" if options.sample else "mnist"
    chosen = [CONTESTANTS[name] for name in options.only or CONTESTANTS]
    present = [contestant for contestant in chosen if contestant.is_here()]
    (folder / "prepared").mkdir()
    given = workload.prepare(folder / "prepared", dataset, options.trials, options.epochs)
    rounds = Rounds(given, dataset, folder, began)
    rounds.not_measured = {one.name: NOT_INSTALLED for one in chosen if one not in present}
    for name, reason in rounds.not_measured.items():
        rounds.say(f"{name}: {reason}")
    extra = [contestant.needs for contestant in present if contestant.needs]
    workload.warm_up(("tensorflow", "keras_tuner", "optuna", "mlflow", *extra))
    rounds.say(f"prepared: {dataset}, {options.trials} configurations, {options.epochs} epochs")
    out = options.out or (Path(tempfile.mkdtemp(prefix="peers-try-")) if options.sample else here.HOME)
    try:
        rounds.play(present, options.repeats, options.minutes, out)
    except KeyboardInterrupt:
        rounds.say("interrupted; the round is left out unless it is the first")
        rounds.runs = [run for run in rounds.runs if run["round"] <= max(1, rounds.num_complete)]
        rounds.write(out)
    if not rounds.runs:
        rounds.say("nothing was measured")
        return 1
    results = rounds.results()
    print(f"\n{summary.table(results)}")
    print(summary.accuracies(given.configurations, results["val_accuracy"]))
    rounds.say(f"written: results.json, TABLE.md and chart.svg in {out}; repeats: {results['repeats']}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=benchmarks.peers.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", choices=list(CONTESTANTS), help=", ".join(CONTESTANTS)
    )
    parser.add_argument("--minutes", type=float, help="begin no round that would end later")
    parser.add_argument("--sample", action="store_true", help="5,000 images instead of all; a quick try")
    parser.add_argument("--out", type=Path, help="default: benchmarks/; with --sample a new temporary folder")
    return parser.parse_args()


def _floor_seconds(given: Workload, folder: Path) -> float:
    """Processor seconds that the list's arithmetic and traffic need at the best rates of a core here."""
    given.give_to_peer(folder)
    words = [sys.executable, "-m", "benchmarks.floor", str(folder)]
    environment = {**workload.environment({}), **floor.ENVIRONMENT}
    said = subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True, text=True).stdout
    return given.epochs * sum(map(sum, json.loads(said.splitlines()[-1])))


if __name__ == "__main__":
    sys.exit(main())
