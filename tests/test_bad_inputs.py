"""What people get wrong, each tried once as they meet it: at the command line.

One message that says where, what must hold, what was received and what to do; exit code 2; nothing trained,
nothing written. The many faces of each mistake are in the tests of its module; stores and outputs are in
test_bad_stores.py.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY, write_study
from PIL import Image
from refusals import FORM, Study, refused, refused_data, study, tree
from test_study_refused import edited

from pipeline.data import npz as npz_reader

__all__ = ["study"]

CHANCE = np.random.default_rng(0)
IMAGES = CHANCE.integers(0, 256, (24, 8, 8), dtype=np.uint8)
LABELS = np.arange(24) % 3
SPLIT = np.repeat(["train", "val", "test"], 8)

GRID = "[search] sampler = 'grid' ;; [space] learning_rate = { choice = [1e-4, 1e-3, 1e-2] }"
STUDY_FILES = {
    "unknown key": ("sede = 1", "Did you mean seed?"),
    "unknown model": ("model = 'mpl'", "Did you mean mlp?"),
    "unknown data set": ("dataset = 'mnits'", "Did you mean mnist?"),
    "unknown sampler": ("[search] sampler = 'tpee'", "unknown sampler of optuna."),
    "unknown pruner": ("[search] pruner = 'mediann'", "Did you mean median?"),
    "unknown engine": ("[search] engine = 'optima'", "Did you mean optuna?"),
    "learning rate -1": ("[baseline] learning_rate = -1.0", "[baseline] learning_rate: must be"),
    "learning rate nan": ("[baseline] learning_rate = nan", "[baseline] learning_rate: must be"),
    "learning rate searched from -1": ("[space] learning_rate = { float = [-1.0, 0.1] }", "rate: must"),
    "rate as text": ("[baseline] learning_rate = '1e-3'", "Received: \"1e-3\""),
    "empty space": ("[space] learning_rate ;; [space] batch_size", "[space]: must have an entry."),
    "low above high": ("[space] dropout = { float = [0.5, 0.1] }", "Swap them: [0.1, 0.5]."),
    "log from 0": ("[space] dropout = { float = [0.0, 0.5], log = true }", "dropout: "),
    "empty choice": ("[space] batch_size = { choice = [] }", "batch_size choice: "),
    "step 0": ("[space] hidden_layers = { int = [1, 3], step = 0 }", "hidden_layers step: "),
    "step beyond the range": ("[space] hidden_layers = { int = [1, 3], step = 5 }", "hidden_layers: "),
    "0 trials": ("[search] trials = 0", "[search] trials: must be at least 1."),
    "-1 trials": ("[search] trials = -1", "[search] trials: must be at least 1."),
    "dropout 1.5": ("[baseline] dropout = 1.5", "[baseline] dropout: must be"),
    "objective max": ("objective = 'max'", "objective: must be a table."),
    "baseline outside": ("[baseline] batch_size = 128", "[baseline] batch_size: must lie inside the space"),
    "fixed and searched": ("[fixed] batch_size = 32", "must not be fixed and searched at once."),
    "when that never is": (
        "[space] zoom = { choice = [0.0, 0.1], when = { batch_size = 48 } }",
        "must name a value that batch_size can take.",
    ),
    "grid beyond trials": (GRID, "a grid of 6 points needs as many trials."),
    "not TOML": ("seed: 1 = 2", "the file must be TOML."),
    "key twice": ("[search] trials = 4 ;; [search] trials  = 5", "a key or a table must be given once."),
}  # fmt: skip


@pytest.mark.parametrize("mistake", STUDY_FILES)
def test_a_mistake_in_a_study_file(project: Path, study: Study, mistake: str) -> None:
    """The file, the table and the key are named, with a way out."""
    edit, message = STUDY_FILES[mistake]
    write_study(project, "bad", edited(edit))
    said = refused(project, study, "check", "bad")
    assert said.startswith(f"{project}/studies/bad/study.toml: ")
    assert message in said


@pytest.mark.parametrize("command", ["check", "prepare", "baseline", "search", "confirm", "report"])
def test_all_problems_of_an_empty_study_file(project: Path, study: Study, command: str) -> None:
    """Whatever the command, each problem is told in the project's form, in one go."""
    write_study(project, "bad", "")
    before = tree(project)
    code, said = study(command, "bad")
    told = said.strip().split("\n\n")
    assert code == 2
    assert len(told) == 5
    assert all(FORM.fullmatch(problem) for problem in told)
    assert tree(project) == before


@pytest.mark.parametrize("name", ["a/b", "a b", "..", "../tiny", "x" * 600, "$(id)", "a;id", "<b>", ""])
@pytest.mark.parametrize("command", ["new", "check", "predict"])
def test_a_name_that_no_study_can_have(project: Path, study: Study, command: str, name: str) -> None:
    """It becomes no path and no shell line, and is shown shortened."""
    said = refused(project, study, command, name, *(["x.npy"] if command == "predict" else []))
    assert said.startswith("study name: a study's name must match [a-z0-9]")
    assert len(said) < 300


def arrays(raw: Path, **changed: np.ndarray) -> str:
    """An archive of arrays, some of them changed; None leaves one out."""
    kept = {"images": IMAGES, "labels": LABELS, **changed}
    np.savez(raw / "mine.npz", **{name: array for name, array in kept.items() if array is not None})
    return '{ npz = "data/raw/mine.npz" }'


def content(raw: Path, data: bytes, name: str = "mine.npz") -> str:
    """A file of these bytes in the place of an archive of arrays."""
    (raw / name).write_bytes(data)
    return f'{{ npz = "data/raw/{name}" }}'


def claiming(raw: Path, shape: bytes) -> str:
    """Images whose header claims another shape."""
    header = io.BytesIO()
    np.lib.format.write_array(header, IMAGES)
    old = b"(24, 8, 8), }"
    told = header.getvalue().replace(old.ljust(len(shape)), shape)
    assert told != header.getvalue()
    with zipfile.ZipFile(raw / "mine.npz", "w") as archive:
        archive.writestr("images.npy", told)
        labels = io.BytesIO()
        np.save(labels, LABELS)
        archive.writestr("labels.npy", labels.getvalue())
    return '{ npz = "data/raw/mine.npz" }'


def bomb(raw: Path) -> str:
    """Zeros that are packed a thousandfold."""
    zeros = np.zeros((2**16, 8, 8), dtype=np.uint8)
    np.savez_compressed(raw / "mine.npz", images=zeros, labels=np.arange(2**16) % 2)
    return '{ npz = "data/raw/mine.npz" }'


def tape(raw: Path, kind: str, as_what: str = "npz") -> str:
    """An archive whose members would land elsewhere if it were unpacked."""
    members = {"dots": "../../escaped.txt", "absolute": f"{raw.parent}/escaped.txt", "link": "link"}
    with tarfile.open(raw / "mine.tar", "w") as archive:
        member = tarfile.TarInfo(members[kind])
        member.size = 5 if kind != "link" else 0
        if kind == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member, io.BytesIO(b"hello") if kind != "link" else None)
    return f'{{ {as_what} = "data/raw/mine.tar" }}'


def escaping(raw: Path) -> str:
    """An archive of arrays with a member that would land elsewhere."""
    arrays(raw)
    with zipfile.ZipFile(raw / "mine.npz", "a") as archive:
        archive.writestr("../../escaped.npy", b"hello")
    return '{ npz = "data/raw/mine.npz" }'


def pictures(raw: Path, classes: tuple[str, ...] = ("cat", "dog"), **spoilt: object) -> str:
    """A folder with four pictures per class; `spoilt` replaces the cat's last."""
    for name in classes:
        (raw / "pets" / name).mkdir(parents=True)
        for index in range(4):
            image = CHANCE.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(image).save(raw / "pets" / name / f"{index}.png")
    if "size" in spoilt:
        Image.fromarray(np.zeros((8, 9), np.uint8)).save(raw / "pets/cat/3.png")
    if "data" in spoilt:
        (raw / "pets/cat/3.png").write_bytes(spoilt["data"])  # type: ignore[arg-type]
    return '{ folder = "data/raw/pets" }'


def idx(*arrays: np.ndarray) -> bytes:
    [array] = arrays
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


CLOTHES = CHANCE.integers(0, 256, (20, 28, 28), dtype=np.uint8)
WHOLE = idx(CLOTHES)
PACKED = gzip.compress(WHOLE)


def clothes(raw: Path, train: bytes, suffix: str = "", name: str = "fashion-mnist") -> str:
    """The four files of Fashion-MNIST, the first of them as given."""
    folder = raw / name
    folder.mkdir()
    other = CHANCE.integers(0, 256, (20, 28, 28), dtype=np.uint8)
    (folder / f"train-images-idx3-ubyte{suffix}").write_bytes(train)
    (folder / "t10k-images-idx3-ubyte").write_bytes(idx(other))
    for part in ("train", "t10k"):
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx((np.arange(20) % 10).astype(np.uint8)))
    return f'"{name}"'


def given(raw: Path, **changed: np.ndarray) -> str:
    """An archive that brings its split."""
    return arrays(raw, split=SPLIT, **changed)


def put(raw: Path, *places: str) -> None:
    for place in places:
        (raw / place).mkdir(parents=True)


TERABYTES = b"(9999999999, 8, 8), }"
TWICE = np.concatenate([IMAGES[:23], IMAGES[:1]])
NO_CLASS_2_IN_TRAIN = np.where((LABELS == 2) & (SPLIT == "train"), 0, LABELS)
UNPACK = "must not be an archive.\nReceived: mine.tar. Unpack it, then name what was in it."
DATA_FILES: dict[str, tuple[Callable[[Path], str | None], str]] = {
    "IDX cut inside an image": (lambda raw: clothes(raw, WHOLE[:-100]), "The file is cut short."),
    "IDX cut between two images": (lambda raw: clothes(raw, WHOLE[:-784]), "The file is cut short."),
    "IDX of 14x56": (
        lambda raw: clothes(raw, idx(CLOTHES.reshape(20, 14, 56))),
        "each image must be 28x28.\nReceived: 14x56.",
    ),
    "IDX that is empty": (lambda raw: clothes(raw, b""), "Received: an empty file."),
    "gzip cut short": (lambda raw: clothes(raw, PACKED[:-9], ".gz"), "must be one whole gzip file."),
    "gzip with a wrong checksum": (
        lambda raw: clothes(raw, PACKED[:-8] + b"rubb" + PACKED[-4:], ".gz"),
        "must be one whole gzip file.\nReceived: CRC check failed",
    ),
    "gzip with rubbish after it": (lambda raw: clothes(raw, PACKED + b"rubbish", ".gz"), "one whole gzip"),
    "wrong SHA-256": (lambda raw: clothes(raw, WHOLE, "", "mnist"), "must have the SHA-256 ba891046"),
    "object array": (
        lambda raw: arrays(raw, labels=np.array([{}] * 24, dtype=object)),
        "must not hold Python objects: they are pickled.",
    ),
    "header of terabytes": (lambda raw: claiming(raw, TERABYTES), "must hold as many bytes as its header"),
    "archive bomb": (bomb, "must not unpack to more than 100 times its size."),
    "tar with ..": (lambda raw: tape(raw, "dots"), UNPACK),
    "tar with absolute names": (lambda raw: tape(raw, "absolute"), UNPACK),
    "tar with a link": (lambda raw: tape(raw, "link"), UNPACK),
    "tar as a folder": (lambda raw: tape(raw, "dots", "folder"), UNPACK),
    "npz with ..": (escaping, "must hold images, labels and perhaps split, each once."),
    "npz that is text": (lambda raw: content(raw, b"hello"), "must be a whole .npz archive of plain arrays."),
    "npz that is empty": (lambda raw: content(raw, b""), "must be a whole .npz archive of plain arrays."),
    "folder for a file": (lambda raw: put(raw, "mine.npz"), "must be a file.\nReceived: a folder."),
    "file for a folder": (lambda raw: content(raw, b"", "pets") and None, "folder.\nReceived: a file."),
    "nothing there": (lambda _: '{ npz = "data/raw/none.npz" }', "must be a file.\nReceived: nothing there."),
    "data elsewhere": (lambda _: '{ npz = "../mine.npz" }', "must lie in data/raw"),
    "different length": (lambda raw: arrays(raw, labels=LABELS[:-1]), "Received: 24 images, 23 labels."),
    "no images": (lambda raw: arrays(raw, images=IMAGES[:0], labels=LABELS[:0]), "there must be images"),
    "label outside": (lambda raw: arrays(raw, labels=LABELS + 99), "Received: labels[0] = 99."),
    "label left out": (lambda raw: arrays(raw, labels=LABELS * 2), "class '1' has none"),
    "label -1": (lambda raw: arrays(raw, labels=LABELS - 1), "Received: labels[0] = -1."),
    "values 0-1": (lambda raw: arrays(raw, images=IMAGES / 255), "Multiply by 255, round, then use"),
    "values 0-1 as bytes": (lambda raw: arrays(raw, images=IMAGES // 255), "pixel values must be 0-255."),
    "same image in train and test": (
        lambda raw: given(raw, images=TWICE),
        "the same image must not be in train and test.\nReceived: 1 in both, the first as images[0] and",
    ),
    "class missing from train": (
        lambda raw: given(raw, labels=NO_CLASS_2_IN_TRAIN),
        "each class must have a different image for each of train.\nReceived: class '2' has 0",
    ),
    "one class": (lambda raw: pictures(raw, ("cat",)), "there must be two classes or more."),
    "unreadable image": (lambda raw: pictures(raw, data=b"hello"), "cat/3.png: must be a whole image"),
    "images of different sizes": (lambda raw: pictures(raw, size=9), "cat/3.png: must be 8 x 8 pixels like"),
}  # fmt: skip
SPELLED = {
    "folder for a file": '{ npz = "data/raw/mine.npz" }',
    "file for a folder": '{ folder = "data/raw/pets" }',
}


@pytest.mark.parametrize("mistake", DATA_FILES)
def test_a_mistake_in_the_data(
    project: Path, study: Study, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    """The file is named; nothing of it is kept, unpacked or run."""
    make, message = DATA_FILES[mistake]
    monkeypatch.setattr(npz_reader, "UNPACKED_FREELY", 2**20)
    assert message in refused_data(project, study, lambda raw: make(raw) or SPELLED[mistake])


def test_data_without_a_mistake_are_taken(project: Path, study: Study) -> None:
    """So each refusal above is for its own mistake."""
    raw = project / "data/raw"
    raw.mkdir(parents=True)
    for index, make in enumerate((arrays, given, pictures, lambda raw: clothes(raw, PACKED, ".gz"))):
        write_study(project, f"good-{index}", TINY.replace('"digits"', make(raw)))
        assert study("prepare", f"good-{index}")[0] == 0
