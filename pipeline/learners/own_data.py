"""The user's own data: a function of a file of the project's, run by prepare in a process of its own.

def load():        # -> inputs, labels or inputs, labels, split: arrays as a .npz file would hold them

{"path": ..., "root": ..., "function": ..., "into": ...}     in, standard input: the arrays are written there
{} or {"raised": "Traceback ..."} or {"returned": "a list"}  out, standard output
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import data, files
from pipeline.data import RawData
from pipeline.data.arrays import KINDS
from pipeline.data.places import placed
from pipeline.errors import DataError, ModelError
from pipeline.files import digest
from pipeline.learners import own_code
from pipeline.training import surroundings
from pipeline.training.surroundings import whole_number

MAX_BYTES = 16 * 2**30
MAX_SECONDS = 600
ADVICE = "Return inputs, labels, as NumPy arrays; or inputs, labels, split."


def examine(word: str, root: Path, folder: Path) -> str:
    """One hash of the file that a study names and of the project's files that it imports; nothing is run.

    Raises:
        StudyError: there is no such file or function.
    """
    path, _ = _find(word, root, folder)
    return digest(own_code.sources(path, root))


def read(word: str, root: Path, folder: Path) -> RawData:
    """What the function of the file returns, checked as a .npz file of it is.

    Raises:
        StudyError: there is no such file or function.
        ModelError: it raised; its traceback.
        DataError: it takes too long or too much memory, or what it returns is not as promised.
    """
    path, function = _find(word, root, folder)
    with tempfile.TemporaryDirectory() as made:
        into = Path(made) / "returned.npz"
        order = {"path": str(path), "root": str(root.resolve()), "function": function, "into": str(into)}
        with placed(word):
            answer = _asked(order, root)
            if "raised" in answer:
                raise ModelError(answer["raised"], f"The data of {word} could not be loaded")
            if "returned" in answer:
                raise DataError.of("must return a tuple of two arrays or three.", answer["returned"], ADVICE)
            return data.refuse_shared(data.read_npz(into))


def _find(word: str, root: Path, folder: Path) -> tuple[Path, str]:
    return own_code.find(word if ":" in word else f"{word}:load", root, folder, "dataset")


def _asked(order: dict[str, str], root: Path) -> dict[str, Any]:
    seconds = whole_number("STUDY_LOAD_SECONDS", 86_400) or MAX_SECONDS
    received = ""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pipeline.learners.own_data"],
            input=json.dumps(order),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Where the study was started: the paths that it names begin there.
            cwd=root,
            env=surroundings.of_child({"CUDA_VISIBLE_DEVICES": "-1"}),
            start_new_session=True,
            timeout=seconds,
            check=False,
        )
        if not done.stdout:
            received = f"it ended without an answer, exit status {done.returncode}"
    except subprocess.TimeoutExpired:
        received = f"nothing after {seconds} s"
    if received:
        must = f"must return within {seconds} s (STUDY_LOAD_SECONDS) and {MAX_BYTES // 2**30} GiB."
        raise DataError.of(must, received, "Load less, or look for what never ends.")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    """Answer the one order on standard input."""
    orders, replies = files.streams()
    files.hold_data(MAX_BYTES)
    json.dump(_answer(json.loads(orders.read())), replies)
    replies.close()


def _answer(order: dict[str, str]) -> dict[str, str]:
    root = Path(order["root"])
    try:
        module = own_code.load(Path(order["path"]), root, has_keras=False)
        found = getattr(module, order["function"])()
    # Whatever the user's code raises is the answer.
    except Exception as error:
        return {"raised": own_code.quoted(error, root)}
    if not isinstance(found, tuple) or len(found) not in (2, 3):
        length = f" of {len(found)}" if isinstance(found, (tuple, list)) else ""
        return {"returned": f"{type(found).__name__}{length}"}
    for one in found:
        if not isinstance(one, np.ndarray) or one.dtype.hasobject:
            kind = f"array of {one.dtype}" if isinstance(one, np.ndarray) else type(one).__name__
            return {"returned": f"{kind} in the tuple"}
    inputs, labels, *split = found
    beside = {"labels": labels, **({"split": split[0]} if split else {})}
    np.savez(Path(order["into"]), allow_pickle=False, **{_kind(inputs): inputs}, **beside)
    return {}


def _kind(inputs: NDArray[Any]) -> str:
    """The kind of data that such an array is meant for; what is wrong with it is told later."""
    if inputs.ndim > 2:
        return "images"
    return next((kind for kind, one in KINDS.items() if one.dtype == inputs.dtype), "features")


if __name__ == "__main__":
    main()
