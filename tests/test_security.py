"""SECURITY.md: each line names the tests that keep it; and what can be seen in the code itself."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, copy_project, run_in, write_study

TABLE = [line for line in (ROOT / "SECURITY.md").read_text().splitlines() if line.startswith("| ")][2:]
CODE = sorted((ROOT / "pipeline").rglob("*.py"))
# Each of these can run what a file says.
UNSAFE = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "eval", "exec", "unpack_archive"}


def calls() -> Iterator[tuple[Path, str, ast.Call]]:
    """Every call in the program, with the last part of its name."""
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
                yield path, node.func.id if isinstance(node.func, ast.Name) else node.func.attr, node


def words(node: ast.Call) -> dict[str | None, object]:
    """The keyword arguments whose values are written out."""
    return {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}


@pytest.mark.parametrize("line", TABLE, ids=[line.split("|")[1].strip() for line in TABLE])
def test_each_line_is_tested(line: str) -> None:
    """The tests that a line names are there."""
    named = re.findall(r"test_\w+", line.rsplit("|", 2)[1])
    assert named
    assert all((ROOT / f"tests/{name}.py").is_file() for name in named)


def test_nothing_that_can_run_code_is_imported_or_called() -> None:
    """No pickles, no eval, no archive unpacked."""
    for path in CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            names = (
                [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
            )
            assert not UNSAFE & {*names, getattr(node, "module", None)}, path
    assert not UNSAFE & {name for _, name, _ in calls()}


def test_arrays_are_read_and_written_without_pickles() -> None:
    """Each call that could take a pickle says that it does not."""
    arrays = ("load", "save", "read_array", "write_array")
    found = [(path, node) for path, name, node in calls() if name in arrays and _of_numpy(node)]
    assert len(found) >= 6
    assert all(words(node).get("allow_pickle") is False for _, node in found)


def _of_numpy(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and ast.unparse(node.func).startswith(("np.", "numpy."))


def test_models_are_loaded_in_one_place_in_safe_mode() -> None:
    """Nothing else loads a model: no pyfunc, no flavour of MLflow."""
    [(path, node)] = [(path, node) for path, name, node in calls() if name == "load_model"]
    assert path.name == "serving.py"
    assert words(node)["safe_mode"] is True


def test_no_process_is_started_through_a_shell() -> None:
    """Words stay words, whatever is in them."""
    assert not any(words(node).get("shell") for _, _, node in calls())


def test_nobody_is_told_what_is_run_here() -> None:
    """DVC's analytics and MLflow's telemetry are off, unless a person turns them on."""
    from pipeline.__main__ import ENVIRONMENT

    assert "analytics = false" in (ROOT / ".dvc/config").read_text()
    assert ENVIRONMENT["MLFLOW_DISABLE_TELEMETRY"] == ENVIRONMENT["DO_NOT_TRACK"] == "true"


def test_every_exception_to_a_rule_has_its_reason() -> None:
    """Beside each `noqa` stands why."""
    for path in [
        *CODE,
        *(path for room in ("tests", "benchmarks", "scripts") for path in (ROOT / room).rglob("*.py")),
    ]:
        for line in path.read_text().splitlines():
            if (found := re.search(r"#\s*noqa(.*)", line)) and path != Path(__file__):
                assert re.match(r":( ?[A-Z]+\d+,?)+ +\S.{3,}", found[1]), f"{path}: {line}"


@pytest.mark.slow
def test_a_name_in_params_yaml_reaches_no_shell(tmp_path: Path) -> None:
    """What DVC reads there before anyone has checked it is no part of a command, however it is quoted."""
    folder = copy_project(tmp_path / "project")
    for name in ("a; touch PWNED #", "a'; touch PWNED; '", "a$(touch PWNED)", "a\ntouch PWNED"):
        (folder / "params.yaml").write_text(json.dumps({"studies": [name]}))
        write_study(folder, name, (folder / "studies/tiny/study.toml").read_text())
        done = run_in(folder, "dvc", "repro")
        assert done.returncode != 0
        assert "a study's name must match" in done.stdout
        assert not list(folder.rglob("PWNED"))
