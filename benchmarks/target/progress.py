"""What the programs share: the space in the peers' words, and a line for every epoch that ends."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

BATCH_SIZES = [32, 64, 128]
FILE = "progress.jsonl"


def note(folder: Path, val_accuracy: float) -> None:
    """Write down that a validation accuracy has just been reached, with the time of day in seconds."""
    with (folder / FILE).open("a") as file:
        file.write(json.dumps({"val_accuracy": val_accuracy, "time": time.time()}) + "\n")


def watch(folder: Path) -> keras.callbacks.Callback:
    """A callback that notes the validation accuracy after each epoch."""
    import keras

    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda _, logs: note(folder, float(logs["val_accuracy"]))
    )
