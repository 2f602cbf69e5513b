"""A study of a CSV file, from its file to what its model says of new rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import ONE_ARM, run_in, write_study

pytestmark = pytest.mark.slow
TEXT = ONE_ARM.replace('"digits"', '{ csv = "data/raw/pets.csv", label = "species" }').replace(
    "trials   = 8", "trials   = 2"
)


def pets(path: Path, num_rows: int = 120) -> None:
    """Rows whose species follows from their length and colour."""
    chance = np.random.default_rng(0)
    lines = ["length,colour,species"]
    for length, colour in zip(chance.normal(size=num_rows), chance.integers(0, 3, num_rows), strict=True):
        species = "dog" if length > colour - 1 else "cat"
        lines.append(f"{length:.4f},{['red', 'blue', 'green'][colour]},{species}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines))


def test_a_study_of_a_table_goes_from_its_file_to_new_rows(project: Path) -> None:
    """Prepared, searched, confirmed, reported in words of rows; asked with a CSV file; cnn is refused."""
    pets(project / "data/raw/pets.csv")
    write_study(project, "tiny", TEXT)
    done = run_in(project, "study", "repro", "tiny")
    assert done.returncode == 0, done.stdout
    report = (project / "studies/tiny/report.md").read_text()
    assert "Rows of 4 features in 2 classes, standardised by train." in report
    assert "image" not in report.lower()
    assert json.loads((project / "data/tiny/card.json").read_text())["kind"] == "features"
    (project / "new.csv").write_text("colour,length\nred,9.5\ngreen,-9.5\n")
    asked = run_in(project, "study", "predict", "tiny", "new.csv", "--version", "1")
    assert [line.split(":")[0] for line in asked.stdout.splitlines()] == ["new.csv line 2", "new.csv line 3"]
    write_study(project, "tiny", TEXT.replace('"mlp"', '"cnn"'))
    refused = run_in(project, "study", "baseline", "tiny")
    assert refused.returncode == 2
    assert "model: a family must take the data: cnn takes images." in refused.stdout
