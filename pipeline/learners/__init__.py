"""What can be trained: each family of models is one file that knows all about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipeline.learners.networks import NETWORKS
from pipeline.study import Learner

if TYPE_CHECKING:
    from pipeline.training.program import Program

# Who trains each word that a study file may have for its model; the first is the default.
LEARNERS: Mapping[str, Learner] = dict.fromkeys(NETWORKS.hyperparameters["model"].words, NETWORKS)
KINDS: Mapping[str, Learner] = {learner.kind: learner for learner in LEARNERS.values()}


def open_program(settings: Mapping[str, Any]) -> tuple[Program, str]:
    """The program of the learner that the settings name, and the device that it runs on, in words."""
    return KINDS[settings["learner"]].open(settings)
