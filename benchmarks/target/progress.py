"""What the peers' programs share: the space in their words, and a line for every epoch that ends."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

BATCH_SIZES = [32, 64, 128]
FILE = "progress.jsonl"


def watch(folder: Path) -> keras.callbacks.Callback:
    """A callback that notes the validation accuracy after each epoch, with the time of day in seconds."""
    import keras

    def note(_: int, logs: dict[str, Any]) -> None:
        line = {"val_accuracy": float(logs["val_accuracy"]), "time": time.time()}
        with (folder / FILE).open("a") as file:
            file.write(json.dumps(line) + "\n")

    return keras.callbacks.LambdaCallback(on_epoch_end=note)
