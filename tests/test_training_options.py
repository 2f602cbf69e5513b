"""What a study may say of training beside what every study says: where it counts, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import parse
from test_study_refused import edited, refused

from pipeline import study
from pipeline.errors import StudyError
from pipeline.learners import Found
from pipeline.study import DataShape

SEARCHED = '[space] optimizer = { choice = ["adam", "sgd"] }'
SGD = f"[fixed] momentum = 0.9 ;; {SEARCHED}"


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            "[fixed] momentum = 0.9",
            '[fixed] momentum: has an effect only where optimizer is "sgd".\nRec',
        ),
        (
            '[fixed] optimizer = "adamw" ;; [space] momentum = { float = [0.1, 0.9] }',
            '[space] momentum: has an effect only where optimizer is "sgd".\nReceived: optimizer = "adamw"',
        ),
        (
            f"{SGD} ;; [baseline] momentum = 0.9",
            '[baseline] momentum: has an effect only where optimizer is "sgd".\nReceived: optimizer = "adam"',
        ),
        (
            SEARCHED + ' ;; [space] nesterov = { choice = ["no", "yes"] }',
            '[space] nesterov: has an effect only where optimizer is "sgd".\n'
            'Received: optimizer = "adam", "sgd". Add when = { optimizer = "sgd" }, or remove nesterov.',
        ),
        (
            "[fixed] warmup = 0.1",
            '[fixed] warmup: has an effect only where schedule is "one_cycle".',
        ),
        (
            '[fixed] rotation = 0.1 ;; [fixed] augmentation = "course"',
            '[fixed] rotation: has an effect only where augmentation is "none".',
        ),
        (
            "[compare] momentum = { choice = [0.5, 0.9] }",
            '[compare] momentum: has an effect only where optimizer is "sgd".\nReceived: no optimizer. Set',
        ),
    ],
)
def test_what_would_have_no_effect_is_told(edit: str, message: str) -> None:
    """A value that no trial of the search, or not the baseline, is trained with."""
    [told] = refused(edited(edit))
    assert told.startswith(message)


@pytest.mark.parametrize(
    "edit",
    [
        SGD,
        '[compare] optimizer = { choice = ["adam", "sgd"] } ;; [fixed] momentum = 0.9',
        SEARCHED + ' ;; [space] momentum = { float = [0.1, 0.9], when = { optimizer = "sgd" } }',
        '[fixed] schedule = "one_cycle" ;; [space] warmup = { float = [0.0, 0.5] }',
        "[fixed] rotation = 0.1",
    ],
)
def test_what_counts_in_some_trials_is_in_order(edit: str) -> None:
    """It is one of the study's hyperparameters; what the file does not name is none."""
    found = parse(edited(edit), "tiny").learner.hyperparameters
    assert "label_smoothing" not in found
    assert {"momentum", "warmup", "rotation"} & found.keys()


LOSS = "sparse_categorical_crossentropy"
OWN = """
import keras

def build(config, input_shape, num_classes):
    model = keras.Sequential([keras.Input(input_shape), keras.layers.Flatten()])
    model.add(keras.layers.Dense(config["width"], name=str(config.get("momentum"))))
    model.add(keras.layers.Dense(num_classes, "softmax"))
    return model
"""


def test_a_model_of_ones_own_keeps_the_names_that_it_reads(tmp_path: Path) -> None:
    """`momentum` is the model's, with a value in the baseline; `optimizer` is training's."""
    found = own(tmp_path, OWN).learner.hyperparameters
    assert (found["momentum"].default, found["momentum"].counts_at) == (0.5, None)
    assert found["optimizer"].words == ("adam", "adamw", "sgd", "rmsprop")


@pytest.mark.slow
def test_a_model_that_is_compiled_has_no_use_for_the_studys_optimizer(tmp_path: Path) -> None:
    """One that is not has: it is built, trained on a batch and saved with it."""
    data = DataShape((4, 4, 1), 3, 9, 3)
    plain = own(tmp_path, OWN)
    assert len(list(plain.learner.examine(plain, data))) == 2
    compiled = own(tmp_path, OWN.replace("return", f'model.compile("adam", "{LOSS}")\n    return'))
    with pytest.raises(StudyError, match=r"declared and never read.\nReceived: optimizer"):
        list(compiled.learner.examine(compiled, data))


def own(folder: Path, model: str) -> study.Study:
    """A study of a model file."""
    (folder / "model.py").write_text(model)
    text = edited('model = "model.py" ;; [baseline] width = 4 ;; [baseline] momentum = 0.5')
    text = text.replace("dropout = 0.1", 'optimizer = "sgd"').replace("hidden_units = 64", "width = 4")
    return study.parse(text, "tiny", Found(folder, folder))
