"""The prepared data on disk: six arrays, their card and, of images, a picture."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, Field, ValidationError

from pipeline.data.arrays import KINDS, Arrays, Splits
from pipeline.data.card import array_sha256, draw_samples
from pipeline.data.places import placed
from pipeline.errors import DataError
from pipeline.files import write_bytes, write_json

CARD = "card.json"
LABELS = np.dtype(np.int64)


class _Claim(BaseModel):
    """What the card says of one array."""

    shape: tuple[int, ...]
    sha256: str


class _Card(BaseModel):
    """What must stand in a card for its arrays to be checked."""

    classes: list[str]
    kind: Literal["images", "features", "tokens"] = "images"
    input_shape: tuple[int, ...] = Field(validation_alias=AliasChoices("image_shape", "input_shape"))
    arrays: dict[str, _Claim]
    sha256: str


def save(splits: Splits, card: Mapping[str, Any], folder: Path) -> None:
    """Write {train,val,test}_{images,labels}.npy, card.json and samples.png: same data, same bytes.

    Other data than images have files of their own kind's name, and no samples.png.

    Raises:
        StoreError: `folder` cannot be written.
    """
    for name, arrays in splits.items():
        for kind, array in ((splits.kind, arrays.inputs), ("labels", arrays.labels)):
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), (1, 0), allow_pickle=False)
            write_bytes(folder / f"{name}_{kind}.npy", content.getvalue())
    if splits.kind == "images":
        write_bytes(folder / "samples.png", draw_samples(splits))
    write_json(folder / CARD, card)


def load_card(folder: Path) -> dict[str, Any]:
    """The data card of prepared data.

    Raises:
        DataError: the data are not prepared, or the card is damaged.
    """
    path = folder / CARD
    _check_there(path, folder)
    with placed(str(path)):
        content = path.read_bytes()
        try:
            card = json.loads(content)
            _Card.model_validate(card)
        # The first is also what broken JSON, broken UTF-8 and a failed validation raise.
        except (ValueError, RecursionError) as error:
            raise _damaged("must be the card of prepared data.", _first_line(error), folder) from error
    return dict(card)


def load(folder: Path, names: tuple[str, ...]) -> dict[str, Arrays]:
    """The named splits, each as it was saved; a split that is not named is not opened.

    Returns:
        split name to inputs and labels, both mapped from the file and read-only.

    Raises:
        DataError: the data are not prepared, or an array is not what the card says.
    """
    card = _Card.model_validate(load_card(folder))
    return {name: _load_split(folder, name, card) for name in names}


def _load_split(folder: Path, name: str, card: _Card) -> Arrays:
    dtypes = {card.kind: KINDS[card.kind].dtype, "labels": LABELS}
    arrays = {kind: _load_array(folder, f"{name}_{kind}", dtype, card) for kind, dtype in dtypes.items()}
    inputs, labels = arrays[card.kind], arrays["labels"]
    num_classes = len(card.classes)
    with placed(str(folder / f"{name}_labels.npy")):
        if inputs.shape[1:] != card.input_shape or labels.shape != inputs.shape[:1]:
            received = f"{card.kind} {inputs.shape}, labels {labels.shape}"
            noun = KINDS[card.kind].noun
            raise _damaged(f"must hold one label per {noun} of {card.input_shape}.", received, folder)
        if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
            received = f"{labels.min()} to {labels.max()}"
            raise _damaged(f"labels must be 0 to {num_classes - 1}.", received, folder)
    for kind, array in arrays.items():
        _check_content(folder, f"{name}_{kind}", array, card)
    return Arrays(inputs, labels)


def _load_array(folder: Path, name: str, dtype: np.dtype[Any], card: _Card) -> NDArray[Any]:
    path = folder / f"{name}.npy"
    _check_there(path, folder)
    claim = card.arrays.get(name)
    if claim is None:
        raise _damaged(f"the card must speak of {name}.", f"only of {', '.join(card.arrays)}", folder)
    with placed(str(path)):
        try:
            array = np.lib.format.open_memmap(path, mode="r")
        except OSError:
            raise
        # For damaged headers NumPy raises whatever it happens to stumble on.
        except Exception as error:
            raise _damaged("must be a whole .npy file.", _first_line(error), folder) from error
        if (array.dtype, array.shape) != (dtype, claim.shape):
            received = f"{array.dtype} {array.shape}"
            raise _damaged(f"must be {dtype} {claim.shape}, as the card says.", received, folder)
        surplus = path.stat().st_size - array.offset - array.nbytes
        if surplus:
            raise _damaged("must end with its array.", f"{surplus} bytes more", folder)
    return array


def _check_content(folder: Path, name: str, array: NDArray[Any], card: _Card) -> None:
    expected, received = card.arrays[name].sha256, array_sha256(array)
    if received != expected:
        with placed(str(folder / f"{name}.npy")):
            raise _damaged(f"must have the SHA-256 {expected}, as the card says.", received, folder)


def _check_there(path: Path, folder: Path) -> None:
    missing = folder if not folder.is_dir() else path
    if not path.is_file():
        raise DataError.of(
            "the data must be prepared first.",
            "a folder where a file is meant" if path.is_dir() else "nothing there",
            f"Run `study prepare {folder.name}`.",
            str(missing),
        )


def _damaged(must: str, received: object, folder: Path) -> DataError:
    return DataError.of(must, received, f"Run `study prepare {folder.name}` again.")


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        problem = error.errors()[0]
        return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
    return str(error).rstrip(".") or type(error).__name__
