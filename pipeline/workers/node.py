"""What a machine of a cluster does for a pool elsewhere: hold one worker process, pass on what is said.

Data and the user's model file are taken from where the pool has them, if the same lie there; else they are
sent, once for all workers of the machine. Code and packages must be there, and the same.
"""

from __future__ import annotations

import os
import platform
import queue
import stat
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.data import load_card
from pipeline.errors import PipelineError
from pipeline.files import digest, is_alive, package_code, remove_folder, write_bytes
from pipeline.learners import own_code
from pipeline.training import BACKENDS, backend, machine
from pipeline.workers.process import LocalProcess, Message

PACKAGES = ("keras", "numpy", "scikit-learn", "scipy")
# Several machines may share the folder of all that is for a while.
WORKER = f"worker-{platform.node()}-"
# A worker process has no use for the word that lets a process into the cluster.
NO_TOKEN = {"RAY_AUTH_TOKEN": ""}


def about(place: Mapping[str, str]) -> dict[str, str]:
    """What equal bits depend on, of this machine and of what is installed on it.

    Args:
        place: the variables that a worker would have here; this process has them from now on.
    """
    # Ray hides all accelerators from what it gives none to, as a task that only looks is.
    if not os.environ.get("CUDA_VISIBLE_DEVICES"):
        os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    os.environ.update(place)
    packages = {name: version(name) for name in (*BACKENDS[backend()], *PACKAGES)}
    code = {"code of keras-study": package_code((".",))[:16]}
    return {"python": platform.python_version(), **packages, **code, **machine()}


def sources_of(learner: Mapping[str, Any]) -> dict[str, str]:
    """The user's files that a learner needs, by their place in the project, with their SHA-256."""
    if "path" not in learner:
        return {}
    return own_code.sources(Path(learner["path"]), Path(learner["root"]))


class Host:
    """Holds one worker process; its methods are called from the machine of the pool.

    Args:
        place: the variables that the worker gets.
    """

    def __init__(self, place: Mapping[str, str]) -> None:
        self._place = place
        self._settings: Message = {}
        self._copies: dict[str, Path] = {}
        self._said: queue.Queue[Message | None] = queue.Queue()
        self._has_begun = threading.Event()
        self._process: LocalProcess | None = None
        self._folder = Path()
        self._num_read = 0

    def look(self, settings: Message, sources: Mapping[str, str]) -> Message:
        """What would train here, and what must be sent first.

        Args:
            settings: what the worker is to open.
            sources: see `sources_of`, as they are where the pool is.

        Returns:
            where: this machine's name. about: see `about`. lacks: "data" and "model", those that are not
            here.
        """
        self._settings = {**settings, "learner": dict(settings["learner"])}
        base = _base()
        self._copies = {"data": base / f"data-{settings.get('data_sha256', '')[:16]}"}
        self._copies["model"] = base / f"model-{digest(dict(sources))[:16]}"
        found = about(self._place)
        lacks = [*self._lacking_data(), *self._lacking_model(sources)]
        self._folder = base / f"{WORKER}{os.getpid()}"
        return {"where": platform.node(), "about": found, "lacks": lacks}

    def _lacking_data(self) -> list[str]:
        sha256, copy = self._settings.get("data_sha256"), self._copies["data"]
        if not sha256 or _is_data(Path(self._settings["data_folder"]), sha256):
            return []
        self._settings["data_folder"] = str(copy)
        return [] if _is_data(copy, sha256) else ["data"]

    def _lacking_model(self, sources: Mapping[str, str]) -> list[str]:
        learner, copy = self._settings["learner"], self._copies["model"]
        if not sources or _has_sources(learner, sources):
            return []
        place = Path(learner["path"]).relative_to(learner["root"])
        learner |= {"root": str(copy), "path": str(copy / place)}
        return [] if _has_sources(learner, sources) else ["model"]

    def take(self, what: str, place: str, content: bytes) -> None:
        """Keep a file that is lacking; whole or not at all, as several workers may be sent it at a time."""
        write_bytes(self._copies[what] / place, content)

    def begin(self) -> None:
        """Start the process."""
        for left in self._folder.parent.glob(f"{WORKER}*"):
            # Several may clear away at a time.
            with suppress(PipelineError):
                if not is_alive(int(left.name.removeprefix(WORKER))):
                    remove_folder(left)
        weights, settings = self._folder / "weights", self._settings
        weights.mkdir(parents=True, exist_ok=True)
        if settings.get("weights_folder"):
            settings["weights_folder"] = str(weights)
        if settings.get("compiled_folder"):
            settings["compiled_folder"] = str(self._folder.parent / Path(settings["compiled_folder"]).name)
        place = {**self._place, **NO_TOKEN}
        self._process = LocalProcess(
            place, self._folder / "log", settings, lambda _, message: self._said.put(message)
        )
        self._has_begun.set()

    def tell(self, message: Message) -> None:
        """Give the process an order, when it has begun."""
        self._has_begun.wait()
        assert self._process is not None  # noqa: S101  it has begun
        self._process.tell(message)

    def hear(self) -> Message:
        """Wait for what the process says next.

        Returns:
            messages; kept: the files of weights that it has put aside before it said so, by name; log: what
            it has written to standard error; ended: how, in words, after its last message, else empty.
        """
        messages = [self._said.get()]
        while not self._said.empty():
            messages.append(self._said.get())
        assert self._process is not None  # noqa: S101  it has spoken
        ended = self._process.end() if messages[-1] is None else ""
        kept = {}
        for path in self._folder.glob("weights/[!.]*"):
            kept[path.name] = path.read_bytes()
            path.unlink()
        with (self._folder / "log").open("rb") as file:
            file.seek(self._num_read)
            log = file.read()
        self._num_read += len(log)
        said = [message for message in messages if message is not None]
        return {"messages": said, "kept": kept, "log": log, "ended": ended}


def _is_data(folder: Path, sha256: str) -> bool:
    """Whether these are the data by their card; the arrays themselves are checked by who opens them."""
    try:
        return bool(load_card(folder)["sha256"] == sha256)
    except PipelineError:
        return False


def _has_sources(learner: Mapping[str, Any], sources: Mapping[str, str]) -> bool:
    try:
        return sources_of(learner) == sources
    except (PipelineError, OSError):
        return False


def _base() -> Path:
    """This user's own folder for what is sent to this machine."""
    base = Path(tempfile.gettempdir()) / f"keras-study-{os.getuid()}"
    base.mkdir(mode=0o700, exist_ok=True)
    found = base.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{base} is another user's")
    return base
