"""What a machine of a cluster keeps of what it is sent; no cluster is needed for it."""

from __future__ import annotations

import pytest
from test_pool import placed

from pipeline.learners import own_code
from pipeline.workers import node

MODEL = "from studies.tiny import layers\n\ndef build(config, input_shape, num_classes):\n    return layers\n"


@pytest.fixture
def learner(tmp_path, monkeypatch):
    """The settings of a user's own model, which imports a file of the project; nothing is kept here yet."""
    monkeypatch.setattr(node.tempfile, "gettempdir", lambda: str(tmp_path / "there"))
    (tmp_path / "there").mkdir()
    folder = tmp_path / "project/studies/tiny"
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(MODEL)
    (folder / "layers.py").write_text("WIDTH = 3\n")
    return own_code.settings_of(folder / "model.py", tmp_path / "project", "build")


def test_a_model_file_that_lies_there_is_used(learner, tmp_path):
    """If it and what it imports are the same."""
    settings, _ = placed(tmp_path, 1)
    there = node.Host({}).look({**settings, "learner": learner}, node.sources_of(learner))
    assert there["lacks"] == []


def test_a_model_file_that_differs_there_is_sent_with_what_it_imports(learner, tmp_path):
    """Once: the next worker finds both, under the hash of what they hold."""
    settings, _ = placed(tmp_path, 1)
    sources = node.sources_of(learner)
    root = tmp_path / "project"
    contents = {place: (root / place).read_bytes() for place in sources}
    assert sorted(contents) == ["studies/tiny/layers.py", "studies/tiny/model.py"]
    (root / "studies/tiny/layers.py").write_text("WIDTH = 4\n")
    host, settings = node.Host({}), {**settings, "learner": learner}
    assert host.look(settings, sources)["lacks"] == ["model"]
    for place, content in contents.items():
        host.take("model", place, content)
    assert host.look(settings, sources)["lacks"] == []
    assert node.sources_of(host._settings["learner"]) == sources
    assert node.Host({}).look(settings, sources)["lacks"] == []


def test_a_folder_of_another_user_is_not_used(tmp_path, monkeypatch):
    """Where everyone may write, its name may have been taken."""
    monkeypatch.setattr(node.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(node.os, "getuid", lambda: 12_345)
    with pytest.raises(PermissionError, match="is another user's"):
        node._base()
