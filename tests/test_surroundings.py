"""What a person's environment, home folder and accelerators do to a study: what is stated, no more."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import Repro, copy_project, environment, run_in
from fakes import outcome
from test_pool import opened, run, trials

from pipeline import files
from pipeline.errors import StudyError
from pipeline.tracking.entry import StageFacts, entry_of
from pipeline.training import framework, machine, surroundings, unused_accelerators
from pipeline.trial import Outcome
from pipeline.workers import places

__all__ = ["opened"]

SETTINGS = {"floatx": "float16", "epsilon": 1e-3, "backend": "jax", "image_data_format": "channels_first"}
HOSTILE = {
    "JAX_ENABLE_X64": "1",
    "KERAS_MAX_EPOCHS": "1",
    "LC_ALL": "tr_TR.UTF-8",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3",
    "OMP_NUM_THREADS": "4",
    "OPENBLAS_NUM_THREADS": "4",
    "PYTHONHASHSEED": "7",
    "PYTHONOPTIMIZE": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "TZ": "Pacific/Kiritimati",
    "XLA_FLAGS": "--xla_cpu_enable_fast_math=true",
}
# What the driver's own program says of parts.
LISTED = """#!/bin/sh
echo 'GPU 0: NVIDIA A100 (UUID: GPU-0000-1111)'
echo '  MIG 1g.10gb     Device  0: (UUID: MIG-77-a)'
echo '  MIG 2g.20gb     Device  1: (UUID: MIG-77-b)'
"""
INFORMATION = "Model:   NVIDIA A100\nIRQ:   1\nGPU UUID:   GPU-{index}000-1111\n"


def hostile(home: Path) -> dict[str, str]:
    """An environment in which nothing is as it comes."""
    for folder in (home / ".keras", home / "keras"):
        folder.mkdir(parents=True)
        (folder / "keras.json").write_text(json.dumps(SETTINGS))
    return {**environment(), **HOSTILE, "HOME": str(home), "KERAS_HOME": str(home / "keras")}


@pytest.mark.slow
def test_a_hostile_environment_changes_no_byte(repro: Repro, tmp_path: Path) -> None:
    """Threads, kernels, precision, locale, time zone, umask, Keras' settings: the same results and lock."""
    folder = copy_project(tmp_path / "project")
    words, hostile_ones = ["dvc", "repro"], {**hostile(tmp_path / "home"), "PYTHONPATH": str(folder)}
    done = subprocess.run(words, cwd=folder, env=hostile_ones, capture_output=True, text=True, umask=0o077)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("plan.json", "baseline.csv", "trials.csv", "confirm.csv", "metrics.json", "report.md"):
        own, wanted = (one / "studies/tiny" / name for one in (folder, repro.folder))
        assert own.read_bytes() == wanted.read_bytes(), name
    assert (folder / "dvc.lock").read_bytes() == (repro.folder / "dvc.lock").read_bytes()
    assert "not taken over, since results would move: JAX_ENABLE_X64, " in done.stderr


def test_a_child_is_given_nothing_that_moves_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """What moves them is held or gone; where logs go and how memory is taken stays the person's."""
    for name, value in {**HOSTILE, "TF_GPU_ALLOCATOR": "cuda_malloc_async"}.items():
        monkeypatch.setenv(name, value)
    given = surroundings.of_child({})
    assert not surroundings.overridden(given)
    assert (given["OMP_NUM_THREADS"], given["KERAS_BACKEND"]) == ("1", "tensorflow")
    assert given["TF_GPU_ALLOCATOR"] == "cuda_malloc_async"
    assert "TF_ENABLE_ONEDNN_OPTS" not in given


def test_what_is_not_taken_over_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is set, and to another value than the one that is held; a plain environment gives no name."""
    for name in surroundings.overridden(os.environ):
        monkeypatch.delenv(name)
    assert surroundings.overridden(os.environ) == []
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert surroundings.overridden(os.environ) == ["TF_ENABLE_ONEDNN_OPTS"]


def test_the_hash_of_code_is_the_same_under_optimization(project: Path) -> None:
    """Python that drops asserts and docstrings reads the same code."""
    path = Path(files.__file__)
    said = "from pathlib import Path; from pipeline.files import code_sha256; print(code_sha256(Path({!r})))"
    done = run_in(project, "env", "PYTHONOPTIMIZE=2", "python", "-c", said.format(str(path)))
    assert done.stdout.strip() == files.code_sha256(path)


PROBE = """
import keras
from pipeline.training.framework import hold_keras
hold_keras()
print(keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format())
print(keras.config.dtype_policy().name)
"""


@pytest.mark.slow
def test_keras_is_as_it_comes_whatever_its_file_says(tmp_path: Path) -> None:
    """floatx, epsilon and image_data_format of keras.json reach no process that trains."""
    hostile_ones = {**hostile(tmp_path), "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(["python", "-c", PROBE], env=hostile_ones, capture_output=True, text=True)
    assert done.stdout.split() == ["float32", "1e-07", "channels_last", "float32"], done.stderr


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that puts so many accelerators into this machine, with or without CUDA for TensorFlow."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("STUDY_WORKERS", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)

    def put(number: int, has_cuda: bool = True) -> None:
        for index in range(number):
            (tmp_path / f"0000:{index}").mkdir()
            (tmp_path / f"0000:{index}" / "information").write_text(INFORMATION.format(index=index))
        # The package has a function of the module's name.
        looked_at = importlib.import_module("pipeline.training.surroundings")
        monkeypatch.setattr(looked_at, "NVIDIA", tmp_path)
        (tmp_path / "nvidia-smi").write_text(LISTED)
        (tmp_path / "nvidia-smi").chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
        monkeypatch.setattr(looked_at, "_has_cuda", lambda: has_cuda)

    return put


def devices(most: int = 99) -> list[str]:
    return [place["CUDA_VISIBLE_DEVICES"] for place in places(most)]


@pytest.mark.parametrize(
    ("given", "expected"), [("", "0 1 2"), ("1", "0"), ("2", "0 1"), ("5", "0 1 2 0 1")], ids=str
)
def test_workers_share_accelerators_by_turns(gpus, monkeypatch, given: str, expected: str) -> None:
    """One each, or as many as STUDY_WORKERS says, none of which takes all of an accelerator's memory."""
    gpus(3)
    monkeypatch.setenv("STUDY_WORKERS", given)
    assert devices() == expected.split()
    assert all(place["TF_FORCE_GPU_ALLOW_GROWTH"] == "true" for place in places(99))
    assert all(place["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false" for place in places(99))
    assert devices(1) == ["0"]


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("2,0", ["2", "0"]),
        ("GPU-1000-1111", ["GPU-1000-1111"]),
        ("GPU-2000", ["GPU-2000"]),
        ("MIG-77-b, MIG-77-a", ["MIG-77-b", "MIG-77-a"]),
        # CUDA leaves out what follows on a word that it does not know.
        ("1,9,0", ["1"]),
        ("0,-1,1", ["0"]),
    ],
)
def test_the_accelerators_that_are_named_are_those_that_train(gpus, monkeypatch, visible, expected) -> None:
    """CUDA_VISIBLE_DEVICES is taken as it stands, also where it names UUIDs or parts."""
    gpus(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices() == expected
    assert machine()["accelerators"].split(", ")[0].startswith("NVIDIA A100")
    assert unused_accelerators() == ""


def test_the_record_says_how_large_a_part_is(gpus, monkeypatch) -> None:
    """Parts of two sizes are two machines to the key; two accelerators of one kind are not."""
    gpus(3)
    assert machine()["accelerators"] == "NVIDIA A100"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-77-b,MIG-77-a")
    assert machine()["accelerators"] == "NVIDIA A100 MIG 1g.10gb, NVIDIA A100 MIG 2g.20gb"


@pytest.mark.parametrize("visible", ["", "-1"])
def test_none_that_is_named_means_the_cpu(gpus, monkeypatch, visible: str) -> None:
    """A worker a core, without a word: it was asked for."""
    gpus(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setenv("STUDY_WORKERS", "2")
    assert devices() == ["-1", "-1"]
    assert machine()["accelerators"] == "none"
    assert unused_accelerators() == ""


def test_a_gpu_without_cuda_is_said_and_not_recorded(gpus, monkeypatch) -> None:
    """A worker a core, "none" in the key, and one line with what to install."""
    gpus(2, has_cuda=False)
    monkeypatch.setenv("STUDY_WORKERS", "3")
    assert devices() == ["-1"] * 3
    assert machine()["accelerators"] == "none"
    assert unused_accelerators() == (
        'The GPU is not used: tensorflow is installed without CUDA. Run: pip install "keras-study[gpu]"'
    )


@pytest.mark.parametrize("name", ["tensorflow", "jax"])
def test_cuda_is_found_by_the_packages_that_bring_it(tmp_path: Path, monkeypatch, name: str) -> None:
    """Without importing the framework; TensorFlow takes the system's libraries too."""
    looked_at = importlib.import_module("pipeline.training.surroundings")
    monkeypatch.setattr(looked_at, "backend", lambda: name)
    monkeypatch.setattr(looked_at.ctypes.util, "find_library", lambda _: None)
    monkeypatch.setattr(looked_at, "CUDA", {name: (f"of_{name}.cuda",)})
    assert not looked_at._has_cuda()
    (tmp_path / f"of_{name}" / "cuda").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    assert looked_at._has_cuda()
    monkeypatch.setattr(looked_at, "CUDA", {name: ()})
    monkeypatch.setattr(looked_at.ctypes.util, "find_library", lambda _: "libcudnn.so.9")
    assert looked_at._has_cuda() == (name == "tensorflow")


def test_a_gpu_that_is_named_and_not_there_is_said(gpus, monkeypatch) -> None:
    """What would train on the CPU in silence is told."""
    gpus(1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4")
    assert devices()[0] == "-1"
    assert unused_accelerators().endswith("CUDA_VISIBLE_DEVICES=4 names none of this machine.")


def test_a_worker_that_does_not_find_its_gpu_refuses(gpus, monkeypatch) -> None:
    """It would train on the CPU what the record's key says a GPU has trained."""
    gpus(1)
    monkeypatch.setattr(framework, "_set_up_tensorflow", lambda _: "CPU")
    monkeypatch.setattr(framework, "hold_keras", lambda: None)
    with pytest.raises(StudyError, match=r"tensorflow must find the GPU\.\nReceived: the CPU alone"):
        framework.set_up(1)


def test_every_outcome_says_what_trained_it(opened) -> None:
    """As the worker said it when it was ready: complete, failed and, from the record, played again."""
    with opened(1) as pool:
        done = run(pool, trials({}, {"raises": 2}))
    assert [one.device for one in done] == ["a fake", "a fake"]
    recorded = {one.trial.number: one for one in done}
    assert Outcome.from_record(done[1].as_record()) == done[1]
    assert recorded[0].device == "a fake"


def test_a_run_in_mlflow_says_what_trained_it() -> None:
    """In a tag; an older record, which does not say, gives none."""
    facts = StageFacts(study="tiny", stage="search", key="k")
    told = outcome(0, 0.5, device="NVIDIA A100")
    assert entry_of(told, facts).tags["trial.device"] == "NVIDIA A100"
    old = {name: value for name, value in told.as_record().items() if name != "device"}
    assert "trial.device" not in entry_of(Outcome.from_record(old), facts).tags
