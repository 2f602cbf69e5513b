"""Images without labels: arrays, pictures and folders of them, of the size and colour that were learnt."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.data import read_unlabelled
from pipeline.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 4, 6), dtype=np.uint8)
SHAPE = (4, 6, 1)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder that paths begin in, with the images in every form."""
    monkeypatch.chdir(tmp_path)
    np.save("three.npy", IMAGES)
    np.savez("three.npz", images=IMAGES)
    (tmp_path / "pictures").mkdir()
    for index, image in enumerate(IMAGES):
        Image.fromarray(image).save(tmp_path / f"pictures/{index}.png")
    (tmp_path / "pictures/.hidden").write_text("")
    return tmp_path


@pytest.mark.parametrize("source", ["three.npy", "three.npz", "pictures"])
@pytest.mark.usefixtures("here")
def test_every_form_gives_the_same_images(source):
    """An array, an archive without labels, a folder of pictures in the order of their names."""
    images, names = read_unlabelled([source], SHAPE)
    np.testing.assert_array_equal(images, IMAGES[..., None])
    assert names == [f"pictures/{n}.png" if source == "pictures" else f"{source}[{n}]" for n in range(3)]


@pytest.mark.usefixtures("here")
def test_sources_are_read_in_their_order():
    """Each image keeps the name of its source."""
    images, names = read_unlabelled(["pictures/2.png", "three.npy"], SHAPE)
    assert names == ["pictures/2.png", "three.npy[0]", "three.npy[1]", "three.npy[2]"]
    np.testing.assert_array_equal(images[0], images[3])


@pytest.mark.usefixtures("here")
def test_gray_images_are_taken_where_coloured_ones_were_learnt():
    """In three equal channels, as a gray picture among coloured ones is."""
    images, _ = read_unlabelled(["pictures"], (4, 6, 3))
    np.testing.assert_array_equal(images, np.repeat(IMAGES[..., None], 3, axis=3))


def saved(**arrays):
    """Bytes of a .npy file, or of a .npz file with more than one array."""
    content = io.BytesIO()
    if list(arrays) == ["array"]:
        np.save(content, arrays["array"], allow_pickle=True)
    else:
        np.savez(content, **arrays)
    return content.getvalue()


WHOLE = saved(array=IMAGES)
WRONG = [
    ("none.npy", None, "must be a file.\nReceived: nothing there"),
    ("cut.npy", WHOLE[:-1], "header promises.\nReceived: 71 bytes, 72 promised"),
    ("more.npy", WHOLE + b"x", "must hold as many bytes as its header promises.\nReceived: 73 bytes"),
    ("head.npy", WHOLE[:20], "must be a whole .npy file of a plain array."),
    ("empty.npy", b"", "Write it with numpy.save(path, images)."),
    ("pickle.npy", saved(array=np.array([{}])), "values must be uint8, 0-255.\nReceived: dtype object"),
    ("float.npy", saved(array=IMAGES / 255), " to 0.9725490196. Multiply by 255, round, then use .astype"),
    ("cut_float.npy", saved(array=IMAGES / 255)[:-1], "header promises.\nReceived: 575 bytes, 576 promised"),
    ("nan.npy", saved(array=IMAGES / np.nan), "be finite.\nReceived: 72 that are not, the first nan at (0,"),
    ("one.npy", saved(array=IMAGES[0]), "must be (num_images, height, width)"),
    ("zero.npy", saved(array=IMAGES[:0]), "there must be images to learn from."),
    ("other.npy", saved(array=IMAGES[:, :3]), "must be 4 x 6 x 1 (height, width, channels), as the"),
    ("other.npz", saved(labels=np.arange(3), split=np.arange(3)), "must hold the array images."),
    ("colour.png", None, "must be 4 x 6 x 1 (height, width, channels), as the model"),
    ("text.txt", b"hello", "must be an image file.\nReceived: text.txt. Known: .bmp, .gif, .jpeg"),
    ("text.png", b"hello", "text.png: must be a whole image of modest size."),
    ("pictures.zip", b"PK", "must not be an archive.\nReceived: pictures.zip. Unpack it"),
    ("nothing", "folder", "must hold images.\nReceived: an empty folder"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), WRONG, ids=[name for name, *_ in WRONG])
def test_what_the_model_cannot_be_asked_about_is_refused(here, name, content, message):
    """The message begins with the source as it was named."""
    Image.new("RGB", (6, 4), "red").save("colour.png")
    if content == "folder":
        (here / name).mkdir()
    elif content is not None:
        (here / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_unlabelled(["three.npy", name], SHAPE)
    assert str(caught.value).startswith(f"{name}: ")
    assert message in str(caught.value)


@pytest.mark.usefixtures("here")
def test_a_dark_image_may_be_asked_about():
    """What is refused of a whole data set is no mistake in a few images."""
    np.save("dark.npy", IMAGES[:1] % 17)
    images, _ = read_unlabelled(["dark.npy"], SHAPE)
    assert images.max() <= 16


def test_a_folder_with_something_else_in_it_is_refused(here):
    """The file that is no picture is named."""
    (here / "pictures/notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"pictures: must be an image file\.\nReceived: notes\.txt"):
        read_unlabelled(["pictures"], SHAPE)
