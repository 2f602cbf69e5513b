"""Look for a file that makes a reader raise anything but its own error, guided by coverage.

pip install atheris                 # a compiler's runtime of 35 MB, hence no dependency of the project
python scripts/fuzz.py idx 600      # which reader, for how many seconds: study, idx, npz or npy

The bytes that break a reader are printed and left as crash-* in the folder of the run: make a test of them.
"""

from __future__ import annotations

import gzip
import io
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

# Only what is loaded in this block tells which of its branches were taken.
with atheris.instrument_imports(include=["pipeline", "tomllib", "zipfile", "numpy.lib"]):
    from pipeline.data.idx import read_idx
    from pipeline.data.npz import read_npz
    from pipeline.data.unlabelled import read_unlabelled
    from pipeline.errors import PipelineError
    from pipeline.learners import Found
    from pipeline.study import load, template

LEARNERS = Found(Path(), Path())
IMAGES = np.arange(12 * 16, dtype=np.uint8).reshape(12, 4, 4)
IDX = struct.pack(">HBB3I", 0, 8, 3, *IMAGES.shape) + IMAGES.tobytes()


def npz(save: Callable[..., None]) -> bytes:
    """A data set in one file."""
    content = io.BytesIO()
    save(content, images=IMAGES, labels=np.arange(12) % 2, split=np.array(["train", "test"] * 6))
    return content.getvalue()


def npy() -> bytes:
    """Images in one file."""
    content = io.BytesIO()
    np.save(content, IMAGES)
    return content.getvalue()


STUDY = b'question = "?"\ndataset = { npz = "a" }\nseed = 1\n[compare]\nzoom = { choice = [0, 0.1] }\n'

# For each reader: the file's name, what reads it, and whole files to begin with.
READERS: dict[str, tuple[str, Callable[[Path], object], list[bytes]]] = {
    "study": ("tiny/study.toml", lambda path: load(path, LEARNERS), [template("tiny").encode(), STUDY]),
    "idx": ("images-idx3-ubyte", lambda path: read_idx(path, (4, 4)), [IDX, gzip.compress(IDX)]),
    "npz": ("mine.npz", read_npz, [npz(np.savez), npz(np.savez_compressed)]),
    "npy": ("mine.npy", lambda path: read_unlabelled([str(path)], (4, 4, 1)), [npy()]),
}


def main() -> None:
    """Fuzz the reader that the command line names."""
    reader, seconds = sys.argv[1], sys.argv[2]
    name, read, whole = READERS[reader]
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{reader}-"))
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    corpus = folder / "corpus"
    corpus.mkdir()
    for index, content in enumerate(whole):
        (corpus / f"whole-{index}").write_bytes(content)

    def one(content: bytes) -> None:
        path.write_bytes(content)
        try:
            read(path)
        except PipelineError as error:
            # A refusal must be tellable, too.
            str(error)

    words = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=10", "-rss_limit_mb=4096"]
    atheris.Setup([sys.argv[0], *words, f"-artifact_prefix={folder}/", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
