"""A hundred random kills in a row: `python -m benchmarks.soak --kills 100 --seed 1`, or `make soak`.

Study after study, with an arm for each engine, is met by random signals at random points of its search, of
confirm and of the report, and then finished. The first study that does not end as one that was left alone
ends the soak with exit status 1, its folder kept for a look.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.soak.driver import EXITS, SIGNS, Crash, lost_or_doubled, results, run

NAME = "soak"
STUDY = """\
question  = "Does it end the same, however often it is killed?"
dataset   = "digits"
model     = "mlp"
trainer   = "{trainer}"
seed      = 11
objective = {{ maximize = "val_accuracy" }}

[baseline]
hidden_units = 16
epochs       = 2

[fixed]
epochs = 3

[compare]
engine = {{ choice = ["optuna", "keras_tuner"] }}

[space]
learning_rate = {{ float = [1e-3, 1e-1], log = true }}
batch_size    = {{ choice = [32, 64] }}
hidden_units  = {{ int = [16, 64], step = 16 }}

[search]
trials   = 6
parallel = 2
pruner   = "median"

[confirm]
top     = 1
repeats = 3
"""
POINTS = {
    "search": [
        *((point, "optuna") for point in ("ask", "epoch", "result", "tell", "tracking")),
        *((point, "keras_tuner") for point in ("ask", "epoch", "result", "tell", "tracking")),
        *(("write", name) for name in ("trials.csv", "curves.csv")),
    ],
    "confirm": [
        *((point, "confirm") for point in ("epoch", "result", "tracking")),
        *(("write", name) for name in ("confirm.csv", "winner")),
        ("promote",),
    ],
    "report": [("write", name) for name in ("metrics.json", "report.md", "report.html")],
}
MOST_PASSES = {"ask": 6, "epoch": 12, "result": 6, "tell": 6, "tracking": 3}
MOST_A_STAGE = {"search": 6, "confirm": 3, "report": 2}
# A stopped worker must be given up soon, but not while a busy machine loads its framework.
SETTINGS = {"STUDY_GIVE_UP_SECONDS": "30"}
FOREIGN = ("MLFLOW_TRACKING_URI", "STUDY_OPTUNA_STORAGE")


def main() -> int:
    """Print a line for each kill; 0 if every study ended as if there had been none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)  # noqa: S311  drawn to be repeated, not to be secret
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN} | SETTINGS
    alone: dict[str, dict[str, bytes]] = {}
    num_kills = 0
    while num_kills < given.kills:
        trainer = chance.choice(["fit", "compiled"])
        if trainer not in alone:
            alone[trainer] = left_alone(trainer, environment)
        folder = project(trainer)
        num_kills = lap(folder, environment, chance, num_kills, given.kills)
        if wrong := differences(folder, alone[trainer]):
            print(*wrong, f"Kept: {folder}", sep="\n")
            return 1
        print(f"{num_kills} kills: the study of {trainer} ended as if there had been none.", flush=True)
        shutil.rmtree(folder)
    return 0


def project(trainer: str) -> Path:
    """A fresh project whose one study is small."""
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    (folder / "studies" / NAME).mkdir(parents=True)
    (folder / "studies" / NAME / "study.toml").write_text(STUDY.format(trainer=trainer))
    return folder


def left_alone(trainer: str, environment: dict[str, str]) -> dict[str, bytes]:
    """The results of a study that nothing disturbs."""
    folder = project(trainer)
    for stage in ("check", "prepare", "baseline", "search", "confirm", "report"):
        finish(folder, environment, stage)
    found = results(folder, NAME)
    shutil.rmtree(folder)
    return found


def lap(folder: Path, environment: dict[str, str], chance: random.Random, num_kills: int, most: int) -> int:
    """One study, killed a few times in every stage, then finished; how many kills there were by now."""
    for stage in ("check", "prepare", "baseline", "search", "confirm", "report"):
        for _ in range(chance.randint(1, MOST_A_STAGE[stage]) if stage in MOST_A_STAGE else 0):
            if num_kills >= most:
                break
            point = chance.choice(POINTS[stage])
            crash = Crash(chance.choice(SIGNS), point, chance.randint(1, MOST_PASSES.get(point[0], 1)))
            began = time.monotonic()
            end = run(folder, environment, [stage, NAME], crash)
            num_kills += len(end.sent)
            what = f"{crash.sign:5} {' '.join(point)} {crash.count}"
            seconds = time.monotonic() - began
            came = f"exit {end.status}" if end.sent else "never came"
            print(f"{num_kills:4} {stage:8} {what:32} {came:10} {seconds:5.1f} s", flush=True)
            if end.status != (EXITS.get(crash.sign, 0) if end.sent else 0):
                sys.exit(f"It should not have ended so:\n{end.said}\nKept: {folder}")
        finish(folder, environment, stage)
    return num_kills


def finish(folder: Path, environment: dict[str, str], stage: str) -> None:
    """Run a stage to its end."""
    end = run(folder, environment, [stage, NAME])
    if end.status != 0:
        sys.exit(f"{stage} ended with {end.status}:\n{end.said}\nKept: {folder}")


def differences(folder: Path, alone: dict[str, bytes]) -> list[str]:
    """In what a study differs from one that was left alone, in sentences."""
    found = results(folder, NAME)
    changed = [f"{name} differs" for name, content in alone.items() if found[name] != content]
    return changed + lost_or_doubled(folder, NAME)


if __name__ == "__main__":
    sys.exit(main())
