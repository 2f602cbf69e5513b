"""A process of its own that builds a user's models: to count what they cost, to try them before a search.

{"model": {...}, "do": "count", "configuration": ..., "data": ...}       in, standard input, a line each
{"multiply_adds": ...}, {"found": ...} or {"raised": "Traceback ..."}    out, standard output
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pipeline import files
from pipeline.errors import ModelError, StudyError
from pipeline.files import digest
from pipeline.space import Configuration
from pipeline.study import DataShape
from pipeline.training import surroundings
from pipeline.training.surroundings import whole_number

if TYPE_CHECKING:
    from pipeline.training.program import Builder

# TensorFlow itself takes 1.1 GiB of data.
MAX_BYTES = 8 * 2**30
MAX_SECONDS = 120
# What kills one process may be the machine's doing, what kills two is the model's.
MAX_TRIES = 2


class Measuring:
    """The coordinator's end: starts the process when it is first asked, ends it when it is forgotten.

    Args:
        model: what a learner's `as_settings` gives: what it is made of again.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        self.model = model
        self._process: subprocess.Popen[str] | None = None
        self._counted: dict[str, int] = {}
        self._sizes: dict[str, int] = {}

    def multiply_adds(self, configuration: Configuration, data: DataShape) -> int:
        """What one input costs, forward; 0 where the model cannot be built: its trial will say why.

        Raises:
            StudyError: no answer comes in time.
        """
        # A configuration is built once, however many epochs it trains.
        key = digest([dict(configuration), list(data.input_shape), data.num_classes])
        if key not in self._counted:
            answer = self._asked({"do": "count", "configuration": dict(configuration), "data": list(data)})
            self._counted[key] = int(answer.get("multiply_adds", 0))
        return self._counted[key]

    def num_weights(self, configuration: Configuration, data: DataShape) -> int:
        """How many numbers the model has; see `multiply_adds`."""
        key = digest([dict(configuration), list(data.input_shape), data.num_classes])
        if key not in self._sizes:
            answer = self._asked({"do": "size", "configuration": dict(configuration), "data": list(data)})
            self._sizes[key] = int(answer.get("num_weights", 0))
        return self._sizes[key]

    def examine(
        self, configurations: Sequence[Configuration], data: DataShape, metric: str
    ) -> dict[str, Any]:
        """What building, training, saving and loading these shows: see `_examined`.

        Raises:
            ModelError: the user's code raised; its traceback.
            StudyError: it ended its process, or no answer comes in time.
        """
        tried = {"configurations": [dict(one) for one in configurations], "data": list(data)}
        return self._found({"do": "examine", **tried, "metric": metric})

    def recorded(self, data: DataShape) -> dict[str, Any]:
        """What a Keras Tuner hypermodel declares; see `hypermodel.recorded`.

        Raises:
            ModelError: the user's code raised; its traceback.
        """
        return self._found({"do": "record", "data": list(data)})

    def _found(self, order: dict[str, Any]) -> dict[str, Any]:
        answer = self._asked(order)
        if "raised" in answer:
            raise ModelError(answer["raised"])
        if "died" in answer:
            raise self._limited(answer["died"], "Narrow the space, or look for what ends Python.")
        found: dict[str, Any] = answer["found"]
        return found

    def _asked(self, order: dict[str, Any]) -> dict[str, Any]:
        """The answer; {"died": how} where the order ends every process that is given it."""
        answer = self._answer(order)
        for _ in range(1, MAX_TRIES):
            if "died" in answer:
                answer = self._answer(order)
        return answer

    def _answer(self, order: dict[str, Any]) -> dict[str, Any]:
        process = self._process = self._process or self._started()
        assert process.stdin is not None  # noqa: S101  Popen was given pipes
        assert process.stdout is not None  # noqa: S101  likewise
        # One that was killed since the last order hears no more.
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps({**order, "model": self.model}) + "\n")
            process.stdin.flush()
        seconds = _seconds()
        is_answered, _, _ = select.select([process.stdout], [], [], seconds)
        line = process.stdout.readline() if is_answered else ""
        if line.endswith("\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        _end(process)
        self._process = None
        if not is_answered:
            # Another machine might be faster: nothing that results depend on may follow from it.
            at = f" at {order['configuration']}" if "configuration" in order else ""
            advice = "Narrow the space, or look for what never ends."
            raise self._limited(f"nothing after {seconds} s{at}", advice)
        return {"died": f"its process died with exit status {process.returncode}"}

    def _limited(self, received: str, advice: str) -> StudyError:
        limits = f"{_seconds()} s (STUDY_EXAMINE_SECONDS) and {MAX_BYTES // 2**30} GiB"
        must = f"the model must be built within {limits}."
        return StudyError.of(must, received, advice, str(self.model["path"]))

    def _started(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipeline.learners.measuring"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=surroundings.of_child({"CUDA_VISIBLE_DEVICES": "-1"}),
            start_new_session=True,
        )
        weakref.finalize(self, _end, process)
        return process


def _seconds() -> int:
    """How long an answer may take."""
    return whole_number("STUDY_EXAMINE_SECONDS", 86_400) or MAX_SECONDS


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None  # noqa: S101  Popen was given pipes
        # What was written to one that had died is still to be sent.
        with suppress(BrokenPipeError):
            pipe.close()


def main() -> None:
    """Answer every order on standard input."""
    orders, replies = files.streams()
    files.hold_data(MAX_BYTES)
    for line in orders:
        replies.write(json.dumps(_answer(json.loads(line))) + "\n")


def _answer(order: dict[str, Any]) -> dict[str, Any]:
    from pipeline.learners import examining, own_code

    shape, num_classes, *sizes = order["data"]
    data = DataShape(tuple(shape), num_classes, *sizes)
    try:
        if order["do"] == "size":
            return {"num_weights": _num_weights(order["model"], order["configuration"], data)}
        if order["do"] == "count":
            trial = examining.Trial(order["model"], order["configuration"], data)
            return {"multiply_adds": trial.multiply_adds()}
        if order["do"] == "record":
            from pipeline.learners import hypermodel

            return {"found": hypermodel.recorded(order["model"], data)}
        return {"found": examining.examined(order["model"], order["configurations"], data, order["metric"])}
    # Whatever the user's code raises is the answer.
    except (Exception, SystemExit) as error:
        return {"raised": own_code.quoted(error, Path(order["model"].get("root", "")))}


def _num_weights(model: Mapping[str, Any], configuration: Configuration, data: DataShape) -> int:
    from pipeline.learners import again

    builder: Builder = cast("Any", again(model)).given(data)
    built = builder.build(configuration, data.input_shape, data.num_classes, lambda _: 1)
    return int(built.count_params())


if __name__ == "__main__":
    main()
