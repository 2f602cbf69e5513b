"""A model's file is asked in a process of its own: what is unsafe, damaged or too large is refused there."""

import json
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from pipeline.errors import StoreError
from pipeline.training import serving

pytestmark = [
    pytest.mark.slow,
    # Keras 3.15 converts its variables with NumPy's old protocol when it saves.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning"),
]

IMAGES = np.random.default_rng(1).integers(0, 256, (201, 8, 8, 1), dtype=np.uint8)


def network(*layers, shape=(8, 8, 1), units=3):
    import keras

    known = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(name="flat"), *layers]
    last = keras.layers.Dense(units, activation="softmax", name="last")
    return keras.Sequential([keras.Input(shape, dtype="uint8"), *known, last])


@pytest.fixture(scope="module")
def model():
    return network()


@pytest.fixture
def saved(model, tmp_path):
    """The model's file."""
    model.save(tmp_path / "model.keras")
    return tmp_path / "model.keras"


def edited(path, edit):
    """The file with another config.json."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = edit(parts["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.fixture
def refused(tmp_path):
    """A function that gives what a file is refused with, without the seconds that a process takes."""
    np.save(tmp_path / "images.npy", IMAGES)
    paths = {"images": str(tmp_path / "images.npy"), "answers": str(tmp_path / "answers.npy")}

    def refused(path):
        problem = serving.answered({"model": str(path), **paths, "num_classes": 3})
        assert not (tmp_path / "answers.npy").exists()
        return str(problem)

    return refused


def test_the_answers_are_the_models(saved, model, tmp_path):
    """In another process the file gives the probabilities that the model gives here."""
    answers = serving.ask(saved, IMAGES, 3, tmp_path)
    np.testing.assert_array_equal(answers, model.predict(IMAGES, batch_size=serving.BATCH_SIZE, verbose=0))


def test_a_file_cut_short_is_refused(saved, refused):
    """Half a file is no model."""
    saved.write_bytes(saved.read_bytes()[:-200])
    message = refused(saved)
    assert message.startswith("the file must be a whole model that Keras loads in safe mode.\nReceived: ")
    assert message.endswith(serving.ADVICE)


def test_code_in_a_file_is_refused_and_not_run(tmp_path, refused):
    """A Lambda layer would run what its author wrote on this machine."""
    import keras

    trap = tmp_path / "trap"
    layer = keras.layers.Lambda(lambda value: open("TRAP", "w") and value, output_shape=(64,))  # noqa: PTH123, SIM115  must name nothing of this module
    hostile = network(layer)
    hostile.save(tmp_path / "model.keras")
    edited(tmp_path / "model.keras", lambda text: text.replace("TRAP", str(trap)))
    message = refused(tmp_path / "model.keras")
    assert "Lambda" in message
    assert message.endswith(serving.CODE_ADVICE)
    assert not trap.exists()


def test_a_layer_of_the_users_own_is_told_from_damage(saved, refused):
    """Its class is in a file that this process does not import; the model may well be whole."""
    flat = '"module": "keras.layers", "class_name": "Flatten"'
    edited(saved, lambda text: text.replace(flat, '"module": "study_model", "class_name": "Folded"'))
    message = refused(saved)
    assert "Folded" in message
    assert message.endswith(serving.CODE_ADVICE)


@pytest.mark.parametrize("other", [{"shape": (8, 4, 1)}, {"units": 4}])
def test_a_model_of_other_images_or_classes_is_refused(tmp_path, refused, other):
    """What it maps is compared with the study before it is asked."""
    network(**other).save(tmp_path / "model.keras")
    assert "the model must map (None, 8, 8, 1) to (None, 3)." in refused(tmp_path / "model.keras")


def test_a_model_that_takes_too_much_memory_is_refused(saved, tmp_path):
    """A small file that claims a layer of 6 GiB is refused by its process, where 4 are allowed."""
    edited(saved, lambda text: re.sub(r'"units": 3\b', f'"units": {6 * 2**22}', text))
    with pytest.raises(StoreError) as caught:
        serving.ask(saved, IMAGES, 3, tmp_path)
    # Where TensorFlow does not survive it, its process ends.
    assert re.search("OOM when allocating|exit status", str(caught.value))


def test_weights_that_are_no_numbers_are_refused(model, tmp_path, refused):
    """An answer is never NaN."""
    broken = network()
    broken.set_weights([np.full_like(weights, np.nan) for weights in model.get_weights()])
    broken.save(tmp_path / "model.keras")
    assert "must answer with numbers" in refused(tmp_path / "model.keras")


def test_a_process_in_which_code_is_allowed_asks_no_model():
    """One call to switch safe mode off is noticed, whatever load_model is told."""
    code = (
        "import keras, json; from pipeline.training import serving\n"
        "safe = serving.is_safe(); keras.config.enable_unsafe_deserialization()\n"
        "print(json.dumps([safe, serving.is_safe(), serving.answered({'model': ''}).must]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [True, False, "Keras must refuse code in a model."]
