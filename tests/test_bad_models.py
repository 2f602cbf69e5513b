"""The registered model asked at the command line: what it answers, and when it is refused."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from refusals import refused, study
from test_bad_stores import IMAGES, write_arrays
from test_serving import network

from pipeline.data import load_card
from pipeline.files import sha256
from pipeline.records.project import Project
from pipeline.stages.prepare import prepare
from pipeline.tracking.entry import StageFacts
from pipeline.tracking.mlflow_view import MlflowView
from pipeline.tracking.registry import promote, register_winner
from pipeline.training.fit import KerasModel

__all__ = ["study"]

pytestmark = [
    pytest.mark.slow,
    # MLflow 3.17 uses a loader strategy that SQLAlchemy 2.1 deprecates.
    pytest.mark.filterwarnings("ignore:The ..noload.. loader strategy:DeprecationWarning"),
    # Keras 3.15 converts its variables with NumPy's old protocol when it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A project whose study has a champion, though it was never trained."""
    root = tmp_path_factory.mktemp("served")
    write_arrays(root)
    project = Project(root)
    prepare(project, "tiny")
    card = load_card(root / "data/tiny")
    facts = StageFacts(study="tiny", stage="confirm", key="k", data_card=card)
    list(MlflowView(project.tracking_uri, project.artifacts, facts, pytest.fail).finish("done"))
    model, example = network(units=2), IMAGES[:2, ..., None]
    registered = register_winner(
        project.tracking_uri, project.artifacts, facts, model=KerasModel(model), input_example=example,
        fingerprint="f", tags={"data_sha256": card["sha256"]}, description="", metrics={}, requirements=[],
    )  # fmt: skip
    promote(project.tracking_uri, "tiny", registered.version)
    np.save(root / "new.npy", IMAGES)
    Image.fromarray(IMAGES[0]).save(root / "=1+1.png")
    [file] = root.rglob("model.keras")
    [kept] = root.glob("mlruns/artifacts/tiny/*/artifacts/card.json")
    return SimpleNamespace(root=root, uri=project.tracking_uri, model=model, file=file, card=kept)


@pytest.fixture
def project(served: SimpleNamespace) -> Iterator[Path]:
    """The project; the model's file and the card are as they were afterwards."""
    before = served.file.read_bytes(), served.card.read_bytes()
    yield served.root
    served.file.write_bytes(before[0])
    served.card.write_bytes(before[1])
    admitted(served)


def admitted(served: SimpleNamespace) -> None:
    """The registry told that the file is the right one, as somebody who can write to it may do."""
    from mlflow import MlflowClient

    MlflowClient(served.uri).set_model_version_tag("tiny", "1", "model_sha256", sha256(served.file))


def test_each_image_gets_a_class_and_its_probability(served, project, study) -> None:
    """What the model says in the process that trained it; in the CSV file no cell is a formula."""
    code, said = study("predict", "tiny", "=1+1.png", "new.npy", "--output", "out.csv")
    with (project / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    (project / "out.csv").unlink()
    answers = served.model.predict(np.concatenate([IMAGES[:1], IMAGES])[..., None], verbose=0)
    assert code == 0, said
    assert [int(row["class"]) for row in rows] == answers.argmax(axis=1).tolist()
    np.testing.assert_allclose([float(row["probability"]) for row in rows], answers.max(axis=1), rtol=1e-6)
    assert rows[0]["image"] == "'=1+1.png"
    assert said.splitlines()[1] == f"new.npy[0]: {rows[1]['class']}  {float(rows[1]['probability']):.4f}"


WORDS = {
    "no champion": (["other", "new.npy"], "model other: must have a champion.\nReceived: none. Run: study"),
    "no such version": (["tiny", "new.npy", "--version", "9"], "model tiny: must have a version 9."),
    "no image": (["tiny", "none.png"], "none.png: must be a file."),
    "other size": (["tiny", "data/tiny/samples.png"], "must be 8 x 8 x 1 (height, width, channels)"),
    "a file that is no table": (["tiny", "new.npy", "--output", "a.py"], "the output must be a .csv file."),
}  # fmt: skip


@pytest.mark.parametrize("mistake", WORDS)
def test_what_cannot_be_asked(project, study, mistake: str) -> None:
    """No model of that name, no such image: one message."""
    words, message = WORDS[mistake]
    assert message in refused(project, study, "predict", *words)


def cut(served: SimpleNamespace) -> None:
    served.file.write_bytes(served.file.read_bytes()[:-200])
    admitted(served)


def coded(served: SimpleNamespace) -> None:
    import keras

    network(keras.layers.Lambda(lambda value: value, output_shape=(64,)), units=2).save(served.file)
    admitted(served)


def of_others(served: SimpleNamespace) -> None:
    network(shape=(4, 4, 1), units=2).save(served.file)
    admitted(served)


SPOILT = {
    "cut short": (cut, "the file must be a whole model that Keras loads in safe mode."),
    "with a Lambda": (coded, "Lambda"),
    "of another input shape": (of_others, "the model must map (None, 8, 8, 1) to (None, 2)."),
    "changed": (lambda served: served.file.write_bytes(b"x"), "must be the one that was registered"),
    "gone": (lambda served: served.file.unlink(), "MLflow must answer."),
    "card changed": (lambda served: served.card.write_text("{}"), "card.json must be that of the model"),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOILT)
def test_a_model_that_is_not_what_was_registered(served, project, study, how: str) -> None:
    """It is not asked; where somebody has told the registry otherwise, Keras and the shapes refuse it."""
    spoil, message = SPOILT[how]
    spoil(served)
    assert message in refused(project, study, "predict", "tiny", "new.npy")
