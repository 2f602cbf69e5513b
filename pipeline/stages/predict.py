"""predict: what the registered model says of images or rows that nobody has labelled."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import data
from pipeline.errors import StoreError, printable
from pipeline.records.project import Project
from pipeline.records.rows import write_rows
from pipeline.study import check_name
from pipeline.tracking.registry import Champion, champion, fetch_card, fetch_model, latest_version, version_of
from pipeline.training import serving


def predict(
    project: Project, name: str, sources: Sequence[str], number: int | None, output: Path | None
) -> Iterator[str]:
    """A line for each input, its class and how probable the model holds it; with `output` a CSV file too.

    Args:
        sources: see `data.read_unlabelled`, `data.read_rows`, `data.read_tokens`.
        number: the version; else the champion.

    Raises:
        StoreError: there is no such model, or its file is not the one that was registered, or is unsafe.
        DataError: the inputs are not as the model learnt them.
    """
    if output is not None and output.suffix != ".csv":
        raise StoreError.of("the output must be a .csv file.", output, "Write --output NAME.csv.", "predict")
    uri = project.tracking_uri
    chosen = _chosen(uri, check_name(name), number)
    where = f"model {name} version {chosen.version}"
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        card = _learnt(uri, chosen, folder, where)
        kind, classes = card.get("kind", "images"), card["classes"]
        if kind == "images":
            shape = tuple(card["arrays"]["train_images"]["shape"][1:])
            inputs: NDArray[Any]
            inputs, names = data.read_unlabelled(sources, shape, "encoding" in card)
        elif kind == "tokens":
            [length], vocabulary = card["input_shape"], card["encoding"]["vocabulary"]
            inputs, names = data.read_tokens(sources, length, vocabulary)
        else:
            inputs, names = data.read_rows(sources, card["encoding"])
        path = fetch_model(uri, name, chosen, folder)
        try:
            answers = serving.ask(path, inputs, len(classes), folder)
        except StoreError as error:
            raise error.at(where) from error
    best = answers.argmax(axis=1)
    probabilities = answers[np.arange(len(best)), best]
    noun = data.KINDS[kind].noun
    rows = [
        {noun: printable(name), "class": classes[index], "probability": float(probability)}
        for name, index, probability in zip(names, best, probabilities, strict=True)
    ]
    if output is not None:
        write_rows(output, [noun, "class", "probability"], rows)
    for row in rows:
        yield f"{row[noun]}: {row['class']}  {row['probability']:.4f}"


def _chosen(uri: str, name: str, number: int | None) -> Champion:
    chosen = champion(uri, name) if number is None else version_of(uri, name, number)
    if chosen is None:
        what = "a champion" if number is None else f"a version {number}"
        latest = latest_version(uri, name)
        advice = f"Run: study confirm {name}."
        if latest:
            advice = f"Ask one that confirm has not promoted: --version {latest}; report.md says why."
        raise StoreError.of(f"must have {what}.", "none", advice, f"model {name}")
    return chosen


def _learnt(uri: str, chosen: Champion, folder: Path, where: str) -> dict[str, Any]:
    """The card of the data that the model learnt."""
    sha256, card = "nothing", {}
    content = fetch_card(uri, chosen.run_id, folder).read_bytes()
    try:
        card = json.loads(content)
        sha256 = data.content_sha256(card)
    except (ValueError, KeyError, TypeError, RecursionError):
        sha256 = "a damaged card"
    # What stands in a card that has this hash stood there when the data were prepared.
    if sha256 != chosen.tags.get("data_sha256"):
        advice = "Restore the artifacts, or run the confirm stage again."
        raise StoreError.of("the run's card.json must be that of the model's data.", sha256, advice, where)
    return dict(card)
