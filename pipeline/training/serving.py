"""A model's file asked in a process of its own, which loads no code from it, with a limit on memory.

{"model": ..., "images": ..., "answers": ..., "num_classes": ...}        in, standard input: three paths
{"problem": null} or {"problem": {"must": ..., ...}}                     out, standard output
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import files
from pipeline.errors import Problem, StoreError
from pipeline.training import surroundings
from pipeline.training.framework import hold_keras

# TensorFlow itself takes 1.1 GiB of data; weights are read, then copied, and never packed.
FREE_BYTES, BYTES_A_BYTE = 4 * 2**30, 4
BATCH_SIZE = 100
# A file's path, inputs and the number of classes to probabilities, or to what is wrong with it.
Asked = Callable[[str, NDArray[Any], int], NDArray[np.float64] | Problem]
ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
ADVICE = "Do not use it: restore the artifacts, or run the confirm stage again."
# What Keras says of code in a file, and of a class or function that is none of its own.
HAS_CODE = re.compile("Lambda|lambda|Could not locate")
CODE_ADVICE = (
    "A model of your own with a Lambda, or with a layer or function of its own, cannot be asked here: load "
    "it in Python, with its file imported. If yours has none, do not use this one."
)


def ask(model_path: Path, images: NDArray[Any], num_classes: int, folder: Path) -> NDArray[np.float64]:
    """What the model in a `.keras` or `.skops` file answers.

    Args:
        images: (num_images, height, width, channels), uint8, 0-255; or features (num_rows, num_features).
        folder: where the two processes may put their arrays.

    Returns:
        (num_images, num_classes) probabilities.

    Raises:
        StoreError: the file holds code, is damaged, too large, or is no model of such images and classes.
    """
    order = {"model": model_path, "images": folder / "images.npy", "answers": folder / "answers.npy"}
    np.save(order["images"], images, allow_pickle=False)
    words = {name: str(path) for name, path in order.items()} | {"num_classes": num_classes}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "pipeline.training.serving"],
        input=json.dumps(words),
        capture_output=True,
        text=True,
        errors="replace",
        env=surroundings.of_child(ENVIRONMENT),
        check=False,
    )
    if done.returncode:
        last = next(reversed(done.stderr.split("\n")[:-1]), "")
        must = f"the model must answer within {_limit(model_path):,} bytes of memory."
        raise StoreError.of(must, f"exit status {done.returncode}: {last}", ADVICE)
    problem = json.loads(done.stdout)["problem"]
    if problem:
        raise StoreError(Problem(**problem))
    answers: NDArray[np.float64] = np.load(order["answers"], allow_pickle=False)
    return answers


def _limit(model_path: Path) -> int:
    """How many bytes of memory the process may take for a model."""
    return FREE_BYTES + BYTES_A_BYTE * model_path.stat().st_size


def main() -> None:
    """Answer the one order on standard input."""
    orders, replies = files.streams()
    order = json.loads(orders.read())
    files.hold_data(_limit(Path(order["model"])))
    problem = answered(order)
    json.dump({"problem": vars(problem) if problem else None}, replies)
    replies.close()


def answered(order: dict[str, Any]) -> Problem | None:
    """Write the answers, or say why there are none."""
    is_keras = Path(order["model"]).suffix != ".skops"
    if is_keras and not is_safe():
        received = "safe mode is off in this process"
        return Problem("Keras must refuse code in a model.", received, "Find what switches it off.")
    try:
        return _answered(order, _by_keras if is_keras else _by_sklearn)
    # Whatever a file makes its library stumble on, it is the file that is refused.
    except Exception as error:
        received = cause(error)
        advice = CODE_ADVICE if is_keras and HAS_CODE.search(str(error)) else ADVICE
        how = "Keras loads in safe mode" if is_keras else "skops loads without any type of its own"
        return Problem(f"the file must be a whole model that {how}.", received, advice)


def cause(error: Exception) -> str:
    """In one line why a library cannot load a model; of Keras the innermost of its messages."""
    innermost = str(error).rsplit("Exception encountered: ", 1)[-1]
    return next(iter(innermost.split("\n")), "") or type(error).__name__


def _answered(order: dict[str, Any], ask_file: Asked) -> Problem | None:
    images = np.load(order["images"], mmap_mode="r", allow_pickle=False)
    answers = ask_file(order["model"], images, order["num_classes"])
    if isinstance(answers, Problem):
        return answers
    if not np.isfinite(answers).all():
        return Problem("the model must answer with numbers.", "not a number", ADVICE)
    np.save(order["answers"], answers, allow_pickle=False)
    return None


def _by_keras(path: str, images: NDArray[np.uint8], num_classes: int) -> NDArray[np.float64] | Problem:
    import keras

    hold_keras()
    model = keras.saving.load_model(path, safe_mode=True, compile=False)
    wanted = (None, *images.shape[1:]), (None, num_classes)
    found = getattr(model, "input_shape", None), getattr(model, "output_shape", None)
    if found != wanted:
        return _other(wanted, found)
    return np.asarray(model.predict(images, batch_size=BATCH_SIZE, verbose=0), dtype=np.float64)


def _by_sklearn(path: str, images: NDArray[np.uint8], num_classes: int) -> NDArray[np.float64] | Problem:
    import skops.io

    from pipeline.training.estimator import TRUSTED, EstimatorModel, rows

    native = skops.io.load(path, trusted=TRUSTED)
    wanted, found = (rows(images[:1]).shape[1], num_classes), (native.n_features_in_, len(native.classes_))
    # Those are the classes of train, where one may be missing.
    if found[0] != wanted[0] or found[1] > num_classes:
        return _other(wanted, found)
    return EstimatorModel(native, num_classes).predict(images)


def _other(wanted: tuple[Any, Any], found: tuple[Any, Any]) -> Problem:
    return Problem(f"the model must map {wanted[0]} to {wanted[1]}.", f"{found[0]} to {found[1]}", ADVICE)


def is_safe() -> bool:
    """Whether Keras refuses code here: one call anywhere in a process switches that off for all of it."""
    from pipeline.training.lean import keras

    code = keras.saving.serialize_keras_object(keras.layers.Lambda(lambda value: value))
    try:
        keras.saving.deserialize_keras_object(code, safe_mode=True)
    except ValueError:
        return True
    return False


if __name__ == "__main__":
    main()
