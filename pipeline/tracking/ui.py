"""The MLflow UI on a study's store, for this machine only."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pipeline.errors import StoreError, hidden
from pipeline.tracking.store import answering, connect, database_path, is_server

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Window:
    """How to start the UI: the words, what to add to the environment, and where it then is."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    address: str


def ui_command(uri: str, artifacts: Path, port: int = 5000) -> Window:
    """How to start the MLflow UI on the store at `uri`.

    Raises:
        StoreError: the store is impossible, or is a server, which has its own UI; or the port is taken.
    """
    if is_server(uri):
        raise StoreError.of(
            "the UI must be started on a database.",
            "a tracking server, which has its own",
            f"Open {hidden(uri)} in a browser.",
            hidden(uri),
        )
    _check_free(port)
    if database_path(uri) is not None:
        # The server would make the schema in place, and leave half of it when it is stopped.
        with answering("MLflow", uri):
            connect(uri)
    # A pattern without the port never matches, and the default ones let 10.evil.com in.
    hosts = ",".join((f"{HOST}:{port}", f"localhost:{port}"))
    origins = ",".join((f"http://{HOST}:{port}", f"http://localhost:{port}"))
    command = (
        sys.executable,
        *("-m", "mlflow", "server", "--host", HOST, "--port", str(port), "--workers", "1"),
        *("--allowed-hosts", hosts, "--cors-allowed-origins", origins, "--x-frame-options", "DENY"),
        *("--no-serve-artifacts", "--default-artifact-root", artifacts.absolute().as_uri()),
    )
    return Window(command, _environment(uri), f"http://{HOST}:{port}")


def serve(uri: str, artifacts: Path, port: int, say: Callable[[str], None]) -> NoReturn:
    """Become the MLflow UI on the store at `uri`.

    Raises:
        StoreError: see `ui_command`.
    """
    window = ui_command(uri, artifacts, port)
    say(f"MLflow UI: {window.address}   (Ctrl-C ends it)")
    os.execve(window.command[0], list(window.command), {**os.environ, **window.environment})  # noqa: S606  no shell


def _check_free(port: int) -> None:
    with socket.socket() as trial:
        # As the server itself does: a port that was left a moment ago is free.
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((HOST, port))
        except OSError as error:
            must, advice = "must be free for the MLflow UI.", "Name another one: study ui --port 5001"
            raise StoreError.of(must, error.strerror or error, advice, f"port {port}") from error


def _environment(uri: str) -> dict[str, str]:
    return {
        # Other users of the machine can read the command, so a password must not stand in it.
        "MLFLOW_BACKEND_STORE_URI": uri,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_ENABLE_AI_GATEWAY": "false",
        "MLFLOW_ENABLE_REMOTE_ASSISTANT": "false",
        # The assistant's shell cannot be turned off, only shut into a container: never on the machine itself.
        "MLFLOW_ENABLE_ASSISTANT_SANDBOX": "true",
    }
