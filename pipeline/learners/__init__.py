"""What can be trained: each family of models is one file that knows all about it; so is the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import StudyError, as_toml, nearest
from pipeline.learners import scikit
from pipeline.learners.mixed import Mixed
from pipeline.learners.networks import NAMES, NETWORKS, Networks
from pipeline.learners.own import OwnModel
from pipeline.learners.scikit import SCIKIT, Scikit
from pipeline.study import Learner

KINDS: Mapping[str, Callable[[Mapping[str, Any]], Learner]] = {
    "networks": lambda _: NETWORKS,
    "scikit": lambda _: SCIKIT,
    "mixed": lambda _: Mixed(),
    "own": OwnModel.again,
}


@dataclass(frozen=True)
class Found:
    """Finds the learners of the studies of a project.

    Attributes:
        root: the project's folder.
        folder: the study's.
    """

    root: Path
    folder: Path
    words = (*NAMES, *scikit.NAMES)

    def find(self, word: str, tables: Mapping[str, Any]) -> Learner:
        """The learner of the family of this name and of those beside it, or the user's: "model.py:build".

        Raises:
            StudyError: there is none.
        """
        if word in self.words:
            return _of_families(_families(word, tables), tables)
        if ".py" in word:
            return OwnModel.of(word if ":" in word else f"{word}:build", self.root, self.folder, tables)
        must = f"must be one of {', '.join(self.words)}, or a file of your own."
        raise StudyError.of(must, as_toml(word), f'{nearest(word, self.words)} Or "model.py:build".', "model")

    def stand_in(self, word: str, tables: Mapping[str, Any]) -> Learner:
        """The default family; for a file of the user's one that has all that the tables name."""
        return OwnModel.unread(self.root, tables) if ".py" in word else self.find(self.words[0], tables)


def _families(word: str, tables: Mapping[str, Any]) -> tuple[str, ...]:
    """The families that a study trains: the one at the top of its file, and those that its tables name."""
    found: list[Any] = [word]
    for table, *keys in (("baseline", "model"), ("space", "model", "choice"), ("compare", "model", "choice")):
        value = tables.get(table)
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        found += value if isinstance(value, list) else [value]
    return tuple(family for family in Found.words if family in found)


def _of_families(families: tuple[str, ...], tables: Mapping[str, Any]) -> Learner:
    """Raises a StudyError where one search would have to train both networks and scikit-learn's models."""
    networks = Networks.of(tuple(one for one in families if one in NAMES), tables)
    of_scikit = Scikit.of(tuple(one for one in families if one in scikit.NAMES), tables)
    if not of_scikit.names or not networks.names:
        return networks if networks.names else of_scikit
    space = tables.get("space")
    if isinstance(space, dict) and "model" in space:
        must = (
            "networks and scikit-learn's models must be arms: they are trained for unlike numbers of epochs."
        )
        advice = "Compare them: [compare] model = { choice = [...] }."
        raise StudyError.of(must, ", ".join(families), advice, "[space] model")
    return Mixed(networks, of_scikit)


def again(settings: Mapping[str, Any]) -> Learner:
    """The learner that its `as_settings` described."""
    return KINDS[settings["kind"]](settings)
