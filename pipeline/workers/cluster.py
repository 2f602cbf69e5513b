"""Worker processes on many machines: Ray finds room for each and says when it is gone. The one door to Ray.

An actor holds one process of the same worker program as here (see `node`), so that what is trained, and how
it is ended, is the same everywhere; which trial goes where, and in which order results count, is the pool's.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import Any

from pipeline.errors import DataError, PipelineError, StoreError, StudyError
from pipeline.files import quiet, write_bytes
from pipeline.training import accelerators, backend, slots
from pipeline.training.surroundings import whole_number
from pipeline.workers import node
from pipeline.workers.pool import Pool
from pipeline.workers.process import SHARED, Hear, Message, num_cores

# Ray reads these once: nothing is reported to anyone, and who has no token is refused.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ.setdefault("RAY_AUTH_MODE", "token")

import ray
from ray._private import services
from ray._raylet import GcsClient  # type: ignore[attr-defined]  # it is made of Cython
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

WHERE, SHARE = "STUDY_CLUSTER", "STUDY_GPUS_PER_WORKER"
# How long the cluster may take to answer at all, to free what an earlier pool had, and to look at itself; and
# how long a thread that listens to it is deaf to the pool.
REACH_SECONDS, FREE_SECONDS, LOOK_SECONDS, DEAF_SECONDS = 5.0, 10.0, 60.0, 0.5
_storing = threading.Lock()

# Ray replaces a loopback address by the outer one, where a cluster that listens on loopback is not found.
services.resolve_ip_for_localhost = lambda host: host


def check() -> None:
    """Pass over a cluster that can train: it is there, has room, and its machines are like this one.

    Raises:
        StudyError: the address, the token, or what is asked for is impossible.
        StoreError: nobody answers there, or all room is taken.
        DataError: a machine would train otherwise than this one.
    """
    demand, asked = _demand(), whole_number("STUDY_WORKERS", 256)
    connect(os.environ[WHERE].strip())
    nodes = [one for one in ray.nodes() if one["Alive"] and _room(one["Resources"], demand)]
    total = sum(_room(one["Resources"], demand) for one in nodes)
    if total < (asked or 1):
        advice = "Lower STUDY_WORKERS, or add machines." if asked else "Add machines, then run again."
        must = f"the cluster must have {'GPUs' if 'num_gpus' in demand else 'CPUs'} for {asked or 1} workers."
        raise StudyError.of(must, f"room for {total}", advice, WHERE)
    if _free(demand, asked or 1) < (asked or 1):
        must = f"the cluster must have room for {asked or 1} workers now."
        received = f"room for {_free(demand, 0)} of {total}; others hold the rest"
        raise StoreError.of(must, received, "Wait for them, or ask for fewer: STUDY_WORKERS.", WHERE)
    _check_nodes({one["NodeManagerHostname"]: one["NodeID"] for one in nodes})


def open_pool(settings: Message, most: int, log_folder: Path, trial_minutes: float | None) -> Pool:
    """A pool of worker processes on the cluster's machines.

    Args:
        most: how many workers have something to do; STUDY_WORKERS sets their number by hand.
        settings, log_folder, trial_minutes: see `Pool`.
    """
    demand = _demand()
    connect(os.environ[WHERE].strip())
    num_workers = whole_number("STUDY_WORKERS", 256) or most
    # Those beyond the room that is there now wait for machines that join, where Ray can see that they do.
    num_at_once = min(num_workers, max(1, _free(demand, num_workers)))
    places: list[Mapping[str, str]] = [_place()] * num_workers
    return Pool(settings, places, log_folder, trial_minutes, partial(RayProcess, demand), num_at_once)


@cache
def connect(address: str) -> None:
    """Join the cluster at HOST:PORT, the one of this machine ("auto"), or start one here ("local").

    Once a process: it stays joined to its end, and what it has started ends with it.
    """
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if address == "local":
            os.environ["RAY_AUTH_TOKEN"] = os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32)
            num_cpus = whole_number("STUDY_WORKERS", 256) or num_cores()
            options |= {"num_cpus": num_cpus, "num_gpus": len(accelerators())}
            options |= {"include_dashboard": False, "_node_ip_address": "127.0.0.1"}
        _check_token()
        # What is wrong is said once, here, and not by Ray's C++ before.
        with quiet():
            if address != "local":
                _check_reached(services.canonicalize_bootstrap_address(address) or address)
            ray.init(**options)
    # What Ray raises for another Python or another Ray there is a RuntimeError.
    except (RayError, RuntimeError, ValueError, OSError) as error:
        must = "must be the address of a running cluster that this machine is in, of the same Python and Ray."
        advice = "Write HOST:PORT, auto or local; `ray status --address HOST:PORT` says whether Ray sees it."
        raise StoreError.of(must, _words(error), advice, WHERE) from None
    finally:
        # Ray has one of its own, which would end the process untidily.
        signal.signal(signal.SIGTERM, handler)


def _check_token() -> None:
    mode, file = os.environ["RAY_AUTH_MODE"], os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")
    if mode != "token":
        must = "must be token: whoever reaches a cluster without one runs any code on it."
        raise StudyError.of(must, repr(mode), "Unset it here and on the machines.", "RAY_AUTH_MODE")
    if not os.environ.get("RAY_AUTH_TOKEN") and not Path(file).expanduser().is_file():
        advice = "Set RAY_AUTH_TOKEN_PATH to a file with the cluster's; docs/machines.md says how."
        raise StudyError.of("the cluster's token must be there.", "none", advice, "RAY_AUTH_TOKEN")


def _check_reached(address: str) -> None:
    """Raise unless somebody answers there who takes the token: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        raise ValueError(f"{address!r} is no HOST:PORT")
    socket.create_connection((host.strip("[]"), int(port)), REACH_SECONDS).close()
    GcsClient(address=address)


def _check_nodes(nodes: Mapping[str, str]) -> None:
    """Raise unless each machine would train as this one does; by its name, the identity that Ray gave it."""
    looks = {}
    for name, identity in nodes.items():
        there = NodeAffinitySchedulingStrategy(identity, soft=False)
        looks[name] = ray.remote(num_cpus=0, scheduling_strategy=there)(node.about).remote(_place())
    for name, look in looks.items():
        try:
            found = ray.get(look, timeout=LOOK_SECONDS)
        except RayError as error:
            must = f"the machine {name} must have this package installed, and answer."
            raise DataError.of(must, _words(error), "Install it there as here.", WHERE) from None
        _refuse_other(name, found)


def _refuse_other(name: str, found: Mapping[str, str]) -> None:
    """Raise unless a machine, of which this was found, would train as this one does."""
    here = node.about(_place())
    other = [f"{what} {found.get(what)}, here {here[what]}" for what in here if found.get(what) != here[what]]
    if other:
        must = f"the machine {name} must train as this one does, or equal trials would differ."
        advice = "Install the same there, start the study on a machine like it, or leave it out."
        raise DataError.of(must, "; ".join(other), advice, WHERE)


def _demand() -> dict[str, float]:
    """What a worker takes of a machine: a GPU, a share of one, or a core."""
    given = os.environ.get(SHARE, "")
    try:
        share = float(given or 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise StudyError.of("must be above 0 and at most 1.", repr(given), "Change it, or unset it.", SHARE)
    if not accelerators():
        if given:
            raise StudyError.of("there must be a GPU to share.", "none on this machine", "Unset it.", SHARE)
        return {"num_cpus": 1}
    # Without the second an actor wants a core beside its GPU, and waits for ever where there is none.
    return {"num_gpus": share, "num_cpus": 0}


def _place() -> dict[str, str]:
    device = SHARED if accelerators() else {"CUDA_VISIBLE_DEVICES": "-1"}
    return {"KERAS_BACKEND": backend(), "STUDY_SLOTS": str(slots()), **device}


def _room(resources: Mapping[str, float], demand: Mapping[str, float]) -> int:
    """How many workers there is room for; a share is one of a single GPU."""
    if "num_gpus" not in demand:
        return int(resources.get("CPU", 0))
    # A third three times must be a whole one.
    whole, rest = divmod(resources.get("GPU", 0), 1)
    return int(whole) * int(1 / demand["num_gpus"] + 1e-9) + int(rest / demand["num_gpus"] + 1e-9)


def _free(demand: Mapping[str, float], wanted: int) -> int:
    """How many workers there is room for now; what is being freed is waited for a while."""
    until, wanted = time.monotonic() + FREE_SECONDS, min(wanted, _room(ray.cluster_resources(), demand))
    while (room := _room(ray.available_resources(), demand)) < wanted and time.monotonic() < until:
        time.sleep(0.2)
    return room


def _words(error: BaseException) -> str:
    """What Ray says, in one line, without the token."""
    text = next(filter(None, map(str.strip, reversed(str(error).splitlines()))), type(error).__name__)
    return text.replace(os.environ.get("RAY_AUTH_TOKEN") or "\0", "***").rstrip(".")


@cache
def _stored(folder: Path, names: tuple[str, ...], key: str) -> dict[str, Any]:  # noqa: ARG001  it is a key
    """References to files, by their place in a folder: each goes to a machine once."""
    return {name: ray.put((folder / name).read_bytes()) for name in names}


def _parcel(what: str, settings: Message) -> dict[str, Any]:
    """What a machine lacks: train and val of the data, their card last, or the user's model file."""
    with _storing:
        if what == "model":
            sources = node.sources_of(settings["learner"])
            return _stored(Path(settings["learner"]["root"]), tuple(sources), str(sources))
        folder = Path(settings["data_folder"])
        names = [one.name for split in ("train", "val") for one in sorted(folder.glob(f"{split}_*.npy"))]
        return _stored(folder, (*names, "card.json"), settings["data_sha256"])


class _EndedError(Exception):
    """The pool has ended the process."""


class RayProcess:
    """A worker process on a machine of the cluster, and the thread that listens to it. See `Process`."""

    def __init__(
        self, demand: Mapping[str, float], place: Mapping[str, str], log: Path, settings: Message, hear: Hear
    ) -> None:
        # An order must not wait behind the wait for an answer.
        options = {"concurrency_groups": {"tell": 1, "hear": 1}, "scheduling_strategy": "SPREAD", **demand}
        self.is_placed = self.is_lost = False
        self._is_killed, self._how = False, "ended"
        self._log, self._settings = log, settings
        self._actor = ray.remote(**options)(node.Host).remote(dict(place))
        self._listener = threading.Thread(target=self._listen, args=(hear,), daemon=True)
        self._listener.start()

    def tell(self, message: Message) -> None:
        """Give it an order; what an actor that is gone is told is said again to the next."""
        self._actor.tell.options(concurrency_group="tell").remote(message)

    def kill(self) -> None:
        """End the actor and its process; where Ray cannot reach them, the pool goes on without them."""
        self._is_killed = True
        with suppress(RayError):
            ray.kill(self._actor)

    def end(self) -> str:
        """Leave no actor and no thread; how it ended, in words."""
        self._listener.join()
        self.kill()
        return self._how

    def _listen(self, hear: Hear) -> None:
        try:
            for message in self._messages():
                hear(self, message)
        except _EndedError:
            pass
        except RayError as error:
            self.is_lost, self._how = True, f"its machine was lost: {_words(error)}"
        except (PipelineError, OSError) as error:
            must, advice = "what machines are sent and send must be kept here.", "Mend it, then run again."
            known = error if isinstance(error, PipelineError) else StoreError.of(must, error, advice, WHERE)
            hear(self, {"said": "refused", "problem": vars(known.problems[0])})
        hear(self, None)

    def _messages(self) -> Iterator[Message]:
        actor, settings = self._actor, self._settings
        there = self._get(actor.look.remote(settings, node.sources_of(settings["learner"])))
        self.is_placed = True
        yield {"said": "placed"}
        _refuse_other(there["where"], there["about"])
        for what in there["lacks"]:
            for place, content in _parcel(what, settings).items():
                self._get(actor.take.remote(what, place, content))
        self._get(actor.begin.remote())
        ended = ""
        while not ended:
            heard = self._get(actor.hear.options(concurrency_group="hear").remote())
            with self._log.open("ab") as log:
                log.write(heard["log"])
            # The record that a trial has ended must never be there without its weights.
            for name, content in heard["kept"].items():
                write_bytes(Path(settings["weights_folder"]) / Path(name).name, content)
            yield from heard["messages"]
            ended = heard["ended"]
        self._how = ended

    def _get(self, reference: Any) -> Any:
        """What an actor answers, however long it takes; the pool's end of it is seen in between."""
        while not self._is_killed:
            with suppress(GetTimeoutError):
                return ray.get(reference, timeout=DEAF_SECONDS)
        raise _EndedError
