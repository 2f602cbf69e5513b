"""Which backend Keras runs on: TensorFlow, or JAX where KERAS_BACKEND says so."""

import importlib.util

import pytest
from conftest import run_in

from pipeline.errors import StudyError
from pipeline.records import fingerprint
from pipeline.training import backend, machine


def test_it_is_tensorflow_unless_the_environment_says_otherwise(monkeypatch):
    """Unset or empty it is TensorFlow."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert backend() == "tensorflow"
    monkeypatch.setenv("KERAS_BACKEND", "")
    assert backend() == "tensorflow"


def test_jax_without_its_packages_names_the_extra(monkeypatch):
    """Chosen and not installed, the message says what to install."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(
        StudyError, match=r"KERAS_BACKEND: jax must be installed.\n.*pip install -e '.\[jax\]'"
    ):
        backend()


@pytest.mark.parametrize("command", [("search", "tiny"), ("check", "tiny"), ("new", "other")])
def test_another_backend_is_refused_before_anything_is_written(project, command):
    """Exit code 2, one message, no traceback, no file."""
    before = sorted(project.rglob("*"))
    done = run_in(project, "env", "KERAS_BACKEND=torch", "study", *command)
    assert done.returncode == 2
    assert done.stdout == (
        "KERAS_BACKEND: must be tensorflow or jax.\nReceived: 'torch'. Change it, or unset it.\n"
    )
    assert sorted(project.rglob("*")) == before


@pytest.mark.parametrize("given", ["0", "many", "1025"])
def test_slots_that_are_no_number_are_refused_before_anything_is_written(project, given):
    """Exit code 2, one message, no file; a search on TensorFlow, which has no slots, does not look."""
    before = sorted(project.rglob("*"))
    done = run_in(project, "env", "KERAS_BACKEND=jax", f"STUDY_SLOTS={given}", "study", "search", "tiny")
    assert done.returncode == 2
    assert done.stdout == (
        f"STUDY_SLOTS: must be a whole number from 1 to 1024.\nReceived: {given!r}. Change it, or unset it.\n"
    )
    assert sorted(project.rglob("*")) == before


def test_slots_are_part_of_the_fingerprint(monkeypatch):
    """On JAX, where a program of many slots may round otherwise than one of few; TensorFlow has one."""
    monkeypatch.setenv("STUDY_SLOTS", "8")
    assert machine()["slots"] == "1"
    pytest.importorskip("jax", reason="JAX is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert machine()["slots"] == "8"


def test_results_of_two_backends_are_never_taken_for_each_other(monkeypatch):
    """The backend and its packages are part of the fingerprint."""
    pytest.importorskip("jax", reason="JAX is not installed")
    found = []
    for name in ("tensorflow", "jax"):
        monkeypatch.setenv("KERAS_BACKEND", name)
        found.append(fingerprint.facts({}, "data"))
    assert fingerprint.key(found[0]) != fingerprint.key(found[1])
    changed = fingerprint.difference(*found).split(", ")
    assert changed == ["machine.backend", "packages.jax", "packages.jaxlib", "packages.tensorflow"]
