"""This project's search as its users start it, its epochs noted as the peers' are."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

from benchmarks.target.progress import note
from pipeline import __main__ as command_line
from pipeline.training import surroundings


def main() -> None:
    """Run the command line with the given words, and note every epoch that the search is handed."""
    # The command line sets them before it loads what reads them; here that is loaded first.
    surroundings.hold()
    os.environ.update({name: os.environ.get(name, value) for name, value in command_line.ENVIRONMENT.items()})
    from pipeline.stages.progress import Progress
    from pipeline.trial import EpochResult

    shown = Progress.epoch

    def epoch(self: Progress, result: EpochResult) -> None:
        shown(self, result)
        if "val_accuracy" in result.metrics:
            note(Path.cwd(), result.metrics["val_accuracy"])

    with patch.object(Progress, "epoch", epoch):
        command_line.main()


if __name__ == "__main__":
    sys.argv[0] = "study"
    main()
