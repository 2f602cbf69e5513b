"""A model file of the user's: found, read for what it depends on, imported, and quoted where it fails."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import random
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import pipeline
from pipeline.errors import StudyError, nearest
from pipeline.files import code_sha256
from pipeline.space import Configuration, Value
from pipeline.training import framework

MODULE = "study_model"


class Config(Mapping[str, Value]):
    """A configuration as a model file is given it; notes which hyperparameters are read.

    Attributes:
        read: names that were asked for, in order.
        undeclared: those of them that the study file does not have.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._values = dict(configuration)
        self.read: dict[str, None] = {}
        self.undeclared: dict[str, None] = {}

    def __getitem__(self, name: str) -> Value:
        self._note(name)
        if name not in self._values:
            known = ", ".join(self._values)
            raise KeyError(f"{name} is read and not declared in the study file, which has {known}")
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        self._note(str(name))
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        # Whoever takes all of them has read all of them.
        for name in self._values:
            self._note(name)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def _note(self, name: str) -> None:
        self.read[name] = None
        if name not in self._values:
            self.undeclared[name] = None


def find(word: str, root: Path, folder: Path, key: str = "model") -> tuple[Path, str]:
    """The file and the function that "model.py:build" names, beside the study file or in the project.

    Args:
        key: of the study file, which names them.

    Raises:
        StudyError: there is no such file below the project's folder, or no such function in it.
    """
    name, _, function = word.rpartition(":")
    places = [folder / name, root / name]
    path = next((place.resolve() for place in places if place.is_file()), None)
    if path is None:
        must, advice = f"the {key}'s file must be there.", f"Put it beside the study file: {places[0]}."
        raise StudyError.of(must, name, advice, key)
    if not path.is_relative_to(root.resolve()):
        must, advice = f"the {key}'s file must lie in the project's folder.", "Copy it there."
        raise StudyError.of(must, name, advice, key)
    functions = functions_of(path)
    if function not in functions:
        must = f"{name} must have the function {function}."
        advice = nearest(function, functions) if functions else f"Write def {function}(...) in it."
        raise StudyError.of(must, ", ".join(functions) or "no function", advice, key)
    return path, function


def functions_of(path: Path) -> list[str]:
    """The names of a file's functions, its own and those from another file; it is not run for that.

    Raises:
        StudyError: it is no Python.
    """
    found = []
    for node in _tree(path).body:
        if isinstance(node, ast.FunctionDef):
            found.append(node.name)
        elif isinstance(node, ast.ImportFrom):
            found += [alias.asname or alias.name for alias in node.names]
    return found


def sources(path: Path, root: Path) -> dict[str, str]:
    """The SHA-256 of a file and of all files of the project that it imports, by their place in the project.

    Comments, docstrings and layout are left out.
    """
    root, found, left = root.resolve(), {}, [path.resolve()]
    while left:
        each = left.pop()
        if each in found:
            continue
        found[each] = code_sha256(each)
        left += [one for one in _imported(each, (path.resolve().parent, root)) if one not in found]
    return {str(each.relative_to(root)): found[each] for each in sorted(found)}


def names(path: Path) -> Iterator[str]:
    """What a file calls by a name at its top: functions, classes, values."""
    for node in _tree(path).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def texts(path: Path, root: Path) -> set[str]:
    """Every text that a file and those of the project that it imports hold: names that they may read."""
    places = [root.resolve() / place for place in sources(path, root)]
    nodes = (node for place in places for node in ast.walk(_tree(place)))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _tree(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        received = f"line {error.lineno}: {(error.text or '').strip()}"
        raise StudyError.of(
            f"must be Python: {error.msg}.", received, "Mend that line.", str(path)
        ) from error
    except (OSError, ValueError) as error:
        raise StudyError.of("must be a readable Python file.", error, "Mend it.", str(path)) from error


def _imported(path: Path, folders: tuple[Path, ...]) -> Iterator[Path]:
    """The files below the folders that a file's import statements may load."""
    for node in ast.walk(_tree(path)):
        names: list[str] = []
        places = folders
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            names = [module, *(f"{module}.{alias.name}".lstrip(".") for alias in node.names)]
            if node.level:
                # So many packages up, this file's own being the first.
                places = (path.parents[min(node.level, len(path.parents)) - 1],)
        for name in filter(None, names):
            # As Python does, take it from the first folder that has it.
            yield from next(filter(None, (_files(folder, name.split(".")) for folder in places)), [])


def _files(folder: Path, parts: list[str]) -> list[Path]:
    """The files of a folder that are loaded for a dotted name; a package's own comes before its modules."""
    places = [folder.joinpath(*parts[:end]) for end in range(1, len(parts) + 1)]
    files = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
    return [file for file in files if file.is_file()]


def load(path: Path, root: Path, has_keras: bool = True) -> ModuleType:
    """The file as a module; what lies beside it and in the project's folder can be imported by it.

    Args:
        has_keras: whether Keras is imported and set first, for a file that needs it.
    """
    if has_keras:
        # First, so that no file beside the model stands in for what Keras and its backend import.
        framework.hold_keras()
    # Nothing is left beside the user's files; and a compiled file that is left may be stale, because only
    # its second and its size tell it from what was edited since.
    sys.dont_write_bytecode = True
    for folder in (root, path.parent):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(MODULE, path)
    assert spec is not None  # noqa: S101  the file ends in .py
    assert spec.loader is not None  # noqa: S101  likewise
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module
    spec.loader.exec_module(module)
    return module


@contextmanager
def without(root: Path) -> Iterator[None]:
    """As in a process without the user's files: none can be imported, nothing of theirs is registered."""
    import keras

    files = {name: getattr(module, "__file__", None) for name, module in [*sys.modules.items()]}
    own = {name for name, file in files.items() if file and is_users(Path(file), root.resolve())}
    hidden, known = {name: sys.modules[name] for name in own}, keras.saving.get_custom_objects()
    registered = {name: one for name, one in known.items() if getattr(one, "__module__", "") in own}
    # What stands there as None is not imported again.
    sys.modules.update(dict.fromkeys(own))  # type: ignore[arg-type]  # a documented value of it
    for name in registered:
        del known[name]
    try:
        yield
    finally:
        sys.modules.update(hidden)
        known.update(registered)


def loop_of(module: ModuleType) -> Callable[..., Any] | None:
    """The model file's own training loop, if it has one."""
    train = getattr(module, "train", None)
    return train if callable(train) else None


def place(function: Callable[..., Any]) -> str:
    """Where a function of the user's stands, to begin a message: "model.py, line 12, in build"."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return (
        f"{Path(code.co_filename).name}, line {code.co_firstlineno}, in {code.co_name}" if code else "model"
    )


def called(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of the user's gives.

    Raises:
        TypeError: it cannot take so many arguments; or whatever it raises.
    """
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        must = f"must take {len(arguments)} arguments, as the example in the README does ({error})"
        raise TypeError(f"{place(function)}: {must}") from None
    return function(*arguments)


def seed_all(seed: int) -> None:
    """Seed what layers and code without a seed of their own draw from: Python's, NumPy's, the backend's."""
    import keras

    random.seed(seed)
    np.random.seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.random.set_seed(seed)


def quoted(error: BaseException, root: Path) -> str:
    """What went wrong in the user's file: its traceback from the first line of the project's on."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [index for index, frame in enumerate(frames) if is_users(Path(frame.filename), root.resolve())]
    # What came after the last line of the user's belongs to libraries; or to us, who have nothing to add.
    shown = [frame for frame in frames[own[0] :] if not _is_ours(Path(frame.filename))] if own else []
    last = traceback.format_exception_only(error)
    return "".join([*traceback.format_list(shown), *last]).rstrip()


def is_users(file: Path, root: Path) -> bool:
    """Whether a file is the project's own: not this package's, nor of the environment it runs in."""
    return file.is_relative_to(root) and not file.is_relative_to(sys.prefix) and not _is_ours(file)


def _is_ours(file: Path) -> bool:
    return file.is_relative_to(Path(pipeline.__file__).parent)


def settings_of(path: Path, root: Path, function: str) -> dict[str, Any]:
    """What a worker needs to find the model again."""
    return {"kind": "own", "root": str(root.resolve()), "path": str(path), "function": function}
