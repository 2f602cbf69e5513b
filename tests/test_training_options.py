"""What a study may say of training beside what every study says: where it counts, and whose it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from fakes import parse
from test_study_refused import edited, refused

from pipeline import study
from pipeline.learners import Found

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


OWN = """
def build(config, input_shape, num_classes):
    return config["width"], config.get("momentum")
"""


def test_a_model_of_ones_own_keeps_the_names_that_it_reads(tmp_path: Path) -> None:
    """`momentum` is the model's, of any kind and with a value in the baseline; `optimizer` is training's."""
    (tmp_path / "model.py").write_text(OWN)
    text = edited('model = "model.py" ;; [baseline] width = 4 ;; [baseline] momentum = "much"')
    text = text.replace("dropout = 0.1", 'optimizer = "sgd"').replace("hidden_units = 64", "width = 4")
    found = study.parse(text, "tiny", Found(tmp_path, tmp_path)).learner.hyperparameters
    assert (found["momentum"].default, found["momentum"].counts_at) == ("much", None)
    assert found["optimizer"].words == ("adam", "adamw", "sgd", "rmsprop")
