"""Where raw data may lie, and what is wrong with a place, in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import DataError

RAW = Path("data/raw")
COPY = f"Copy what it points to into {RAW}."
# No archive is ever unpacked here: what it holds could be put anywhere, and be of any size.
ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
UNPACK = "Unpack it, then name what was in it."


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Put `where` in front of every DataError of the block, and turn an OSError into one."""
    try:
        yield
    except DataError as error:
        raise error.at(where) from error
    except OSError as error:
        name = f" ({error.filename})" if error.filename else ""
        raise DataError.of(
            "must be readable.",
            f"{error.strerror or error}{name}",
            "Mend the path or its permissions.",
            where,
        ) from error


def shown(path: Path, root: Path) -> str:
    """`path` as a person would type it in the folder `root`."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def below_raw(given: str, root: Path) -> Path:
    """The path that a study file gives, relative to `root`.

    Raises:
        DataError: it is not below data/raw, or a link leads it out of there.
    """
    path = root.absolute() / given
    if ".." in path.parts or "\0" in given or (root / RAW).absolute() not in path.parents:
        raise DataError.of(
            f"the study's own data must lie in {RAW}, where a change is noticed.",
            repr(given),
            f"Move it there and write {RAW}/NAME.",
            "dataset",
        )
    with placed(given):
        stay_below_raw(path, root)
    return path


def stay_below_raw(path: Path, root: Path, advice: str = COPY) -> None:
    """Pass over a path that ends below data/raw when all its links are followed.

    Raises:
        DataError: a link leads out of data/raw, or round in a circle.
    """
    try:
        resolved = path.resolve()
    # This is how Python before 3.13 speaks of links that go round in a circle.
    except RuntimeError as error:
        raise DataError.of("must not be a link to itself.", error, "Remove the link.") from error
    if not resolved.is_relative_to((root / RAW).resolve()):
        raise DataError.of(
            f"a link must not lead out of {RAW}: a change behind it would not be noticed.",
            f"a link to {resolved}",
            advice,
        )


def must_be_file(path: Path) -> None:
    """Pass over a regular file.

    Raises:
        DataError: it is missing, a folder or something else.
    """
    if path.is_dir():
        raise DataError.of(
            "must be a file.", "a folder", "Name the file inside it, or use folder = for images."
        )
    if not path.is_file():
        raise DataError.of("must be a file.", _absence(path), "Put the file there, or mend the path.")


def must_be_folder(path: Path) -> None:
    """Pass over a folder.

    Raises:
        DataError: it is missing or a file.
    """
    if path.is_file():
        refuse_archive(path)
    if not path.is_dir():
        received = "a file" if path.is_file() else _absence(path)
        raise DataError.of("must be a folder.", received, "Put the folder there, or mend the path.")


def refuse_archive(path: Path) -> None:
    """Pass over a file that is no archive by its name.

    Raises:
        DataError: it is one.
    """
    if path.name.lower().endswith(ARCHIVES):
        raise DataError.of("must not be an archive.", path.name, UNPACK)


def _absence(path: Path) -> str:
    if path.is_symlink():
        return "a link to nothing"
    return "neither a file nor a folder" if path.exists() else "nothing there"
