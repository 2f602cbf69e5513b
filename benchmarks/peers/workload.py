"""What every contestant is given: a list of configurations, the images, the number of epochs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import exp, log
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import seeds
from pipeline.learners import Found
from pipeline.space import Choice, Range, Space, Value
from pipeline.study import load

ROOT = Path(__file__).parent.parent.parent
STUDY = "peers"
LIST_FILE = "task.json"
RAW = "STUDY_RAW_MNIST"
SEED = 20260101

# What every benchmark of searches searches.
SPACE = """\
[space]
batch_size    = { choice = [32, 64, 128] }
learning_rate = { float = [1e-4, 1e-2], log = true }
dropout       = { float = [0.0, 0.5] }
hidden_layers = { int = [1, 3] }
hidden_units  = { int = [64, 512], step = 64 }
"""
STUDY_TEXT = """\
question  = "How many trials does an hour hold?"
dataset   = "{dataset}"
model     = "mlp"
seed      = {seed}
objective = {{ maximize = "val_accuracy" }}

[baseline]
epochs = {epochs}

[fixed]
activation = "relu"
epochs     = {epochs}

{space}
[search]
engine     = "optuna"
pruner     = "none"
trials     = {trials}
start_with = [
{starts}
]
"""

# What a person may have set for other work; a contestant runs with what its users get by default.
FOREIGN = (
    "KERAS_BACKEND",
    "MKL_NUM_THREADS",
    "MLFLOW_TRACKING_URI",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "PYTHONDONTWRITEBYTECODE",
    "STUDY_OPTUNA_STORAGE",
    "STUDY_SLOTS",
    "STUDY_WORKERS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)

Configurations = list[dict[str, Value]]


@dataclass(frozen=True)
class Workload:
    """The list, the epochs, and the folder of the prepared images."""

    configurations: Configurations
    epochs: int
    data_folder: str

    def give_to_peer(self, folder: Path) -> None:
        """Put the list where a peer's program looks for it."""
        (folder / LIST_FILE).write_text(json.dumps(asdict(self), indent=1))

    def give_to_project(self, folder: Path, dataset: str) -> None:
        """Make the folder a project whose one study searches the list; its images are ready."""
        self.give_study(folder, study_text(dataset, self.epochs, self.configurations))

    def give_study(self, folder: Path, text: str) -> None:
        """Make the folder a project with the study of the given text; its images are ready."""
        write_project(folder, text)
        # Linked, not copied: preparing is not measured, and no contestant changes the images.
        shutil.copytree(self.data_folder, folder / "data" / STUDY, copy_function=os.link)


def study_text(dataset: str, epochs: int, configurations: Configurations) -> str:
    """The study file of a search that walks the list."""
    # JSON's numbers and texts are TOML's too.
    rows = (
        "  { " + ", ".join(f"{name} = {json.dumps(value)}" for name, value in row.items()) + " },"
        for row in configurations
    )
    return STUDY_TEXT.format(
        space=SPACE,
        dataset=dataset,
        seed=SEED,
        epochs=epochs,
        trials=max(1, len(configurations)),
        starts="\n".join(rows),
    )


def space(folder: Path) -> Space:
    """The space that the list is drawn from; `folder` takes the study file that says it."""
    write_project(folder, study_text("mnist", 1, []))
    study = folder / "studies" / STUDY
    return load(study / "study.toml", Found(folder, study)).space


def draw(searched: Space, number: int) -> Configurations:
    """The first `number` configurations of the list: the same for every machine and day.

    Learning rates and dropout are rounded to four significant digits, so that a person can read the list.
    """
    rows = []
    for index in range(number):
        generator = seeds.generator(SEED, "peers", index)
        rows.append({entry.name: _drawn(entry.values, generator) for entry in searched})
    return rows


def _drawn(values: Range | Choice, generator: np.random.Generator) -> Value:
    points = values.points()
    if points is not None:
        return points[int(generator.integers(len(points)))]
    assert isinstance(values, Range)  # noqa: S101  a choice always has points
    ends = (log(values.low), log(values.high)) if values.log else (values.low, values.high)
    number = generator.uniform(*ends)
    return float(f"{exp(number) if values.log else number:.4g}")


def write_project(folder: Path, text: str) -> None:
    """A folder that the command line takes for a project, with one study."""
    path = folder / "studies" / STUDY / "study.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    (folder / "params.yaml").write_text(f"studies:\n  - {STUDY}\n")


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """The variables that a contestant runs with."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    path = os.pathsep.join(filter(None, (str(ROOT), kept.get("PYTHONPATH", ""))))
    if kept.get(RAW):
        kept[RAW] = str(Path(kept[RAW]).absolute())
    # Nothing that is measured may wait for a server far away.
    return {**kept, "PYTHONPATH": path, "RAY_USAGE_STATS_ENABLED": "0", **more}


def prepare(folder: Path, dataset: str, num_trials: int, epochs: int) -> Workload:
    """Draw the list, then read, check and split the images by the project's own command."""
    configurations = draw(space(folder), num_trials)
    write_project(folder, study_text(dataset, epochs, configurations))
    subprocess.run(
        [sys.executable, "-m", "pipeline", "prepare", STUDY], cwd=folder, env=environment({}), check=True
    )
    return Workload(configurations, epochs, str(folder / "data" / STUDY))


def warm_up(modules: tuple[str, ...]) -> None:
    """Read the packages once, so that no contestant alone pays for the first reading from the disk."""
    command = [sys.executable, "-c", f"import {', '.join(modules)}"]
    # A package that cannot be imported makes its contestant fail, which is said there.
    subprocess.run(command, env=environment({}), check=False, capture_output=True)


def recorded_accuracies(folder: Path, is_ours: bool) -> list[float]:
    """The validation accuracy after the last epoch of each configuration, in the order of the list."""
    if not is_ours:
        found: list[Any] = json.loads((folder / "val_accuracy.json").read_text())
        return [float(value) for value in found]
    from pipeline.records.rows import read_rows

    rows = read_rows(folder / "studies" / STUDY / "trials.csv")
    return [float(row["val_accuracy"]) for row in rows if row["state"] == "complete"]
