"""A study file to begin with, every table in it and a reason beside each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.errors import BARE_KEY
from pipeline.study.reading import check_name

TEMPLATE = """\
# Run    dvc repro report@NAME
# Cost   not measured yet
# Expect not measured yet
question  = "How much does tuning buy the plain MLP on 5,000 digits of MNIST?"
dataset   = "mnist-sample"  # or mnist, fashion-mnist, digits, { npz = "..." }, { folder = "..." }
model     = "mlp"           # or cnn
seed      = 20260101        # every draw of chance begins here
objective = { maximize = "val_accuracy" }

[split]                     # shares of the images; a split that the data set brings is kept
test = 0.2                  # of all, opened once, in confirm
val  = 0.2                  # of the rest, chooses between trials

[baseline]                  # the configuration that everything is compared with
batch_size    = 32
learning_rate = 0.001
dropout       = 0.0
hidden_layers = 1
hidden_units  = 128
activation    = "relu"
epochs        = 5

[fixed]                     # held still in every trial
epochs = 5

# [compare]                 # one question more: each value is an arm, searched with the same budget
# activation = { choice = ["relu", "sigmoid"] }

[space]                     # searched; when = { model = "cnn" } would make an entry count there alone
learning_rate = { float = [1e-4, 1e-2], log = true }
batch_size    = { choice = [32, 64, 128] }
dropout       = { float = [0.0, 0.5] }
hidden_layers = { int = [1, 3] }
hidden_units  = { int = [64, 512], step = 64 }

[search]
engine   = "optuna"         # or keras_tuner
sampler  = "tpe"            # or random, grid, qmc; of keras_tuner: bayesian, random, hyperband, grid
pruner   = "median"         # stops the unpromising; or none, successive_halving, hyperband
start_with = ["middle"]     # of each range in [space]; or { learning_rate = 0.001 }, for example
trials   = 12               # in each arm
parallel = PARALLEL         # trials in flight, here one a core; the result depends on it, on any machine

[confirm]
top     = 3                 # so many of the best are trained again ...
repeats = 5                 # ... on so many fresh seeds, and so is the baseline
"""


def template(name: str, parallel: int = 4) -> str:
    """The text of a complete study file for a new study with so many trials in flight.

    Raises:
        StudyError: no study may have this name.
    """
    return TEMPLATE.replace("NAME", check_name(name)).replace("PARALLEL", f"{parallel:<8}")


def of_hypermodel(name: str, parallel: int, target: str, tables: Mapping[str, Mapping[str, Any]]) -> str:
    """The same text for the model in model.py, with these for [baseline], [fixed] and [space].

    Args:
        target: what model.py calls, in words.
    """
    head, *blocks = template(name, parallel).split("\n\n")
    told = {"question": f"How much does tuning buy {target}?", "model": "model.py:build"}
    told_lines = {key: f"{key:<10}= {toml(value)}" for key, value in told.items()}
    written = ["\n".join(told_lines.get(line.split(" ")[0], line) for line in head.splitlines())]
    for block in blocks:
        table = block.partition("]")[0].removeprefix("[")
        title = block.splitlines()[0].partition(";")[0]
        lines = [f"{_key(key)} = {toml(value)}" for key, value in tables.get(table, {}).items()]
        written.append("\n".join([title, *lines]) if table in tables else block)
    return "\n\n".join(written)


def toml(value: Any) -> str:
    """A value as a study file has it, on one line."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(key)} = {toml(inner)}' for key, inner in value.items())} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(toml(inner) for inner in value)}]"
    # What JSON has for numbers, texts and truths, TOML has too.
    return json.dumps(value, ensure_ascii=False)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else toml(name)
