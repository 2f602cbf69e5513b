"""JAX in place of TensorFlow: what on_jax.py promises, and a whole search by KERAS_BACKEND=jax."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, run_in, write_study

pytest.importorskip("jax", reason="JAX is not installed")
pytestmark = pytest.mark.slow
STUDY = TINY.replace('[compare]\nengine = { choice = ["optuna", "keras_tuner"] }\n', "")


def test_the_compiled_epoch_on_jax_gives_what_fit_gives():
    """Every promise of on_jax.py holds."""
    environment = {**os.environ, "KERAS_BACKEND": "jax", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", "on_jax.py"]
    done = subprocess.run(
        command, cwd=Path(__file__).parent, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_search_gives_the_same_bytes_with_one_worker_and_with_two(project):
    """The first compiles, the second loads what is compiled; past a file that a kill has cut short."""
    write_study(project, "tiny", STUDY)
    run_in(project, "study", "prepare", "tiny")
    found = []
    for workers in ("1", "2"):
        words = ("env", "KERAS_BACKEND=jax", f"STUDY_WORKERS={workers}", "study", "search", "tiny")
        assert run_in(project, *words).returncode == 0
        found.append((project / "studies" / "tiny" / "trials.csv").read_bytes())
        [facts] = (project / "mlruns" / "searches").glob("tiny/search-*/facts.json")
        assert '"backend": "jax"' in facts.read_text()
        shutil.rmtree(project / "mlruns" / "searches")
        [folder] = (project / "mlruns" / "compiled").iterdir()
        epoch = max(folder.glob("jit__epoch-*"), key=lambda path: path.stat().st_size)
        epoch.write_bytes(epoch.read_bytes()[:-100])
    assert found[0] == found[1]
