"""The door to MLflow: a window on what was trained, never a floor that training stands on.

A stage opens a `Tracker`, hands it outcomes and goes on; one thread delivers them, as often as it takes.
"""

from pipeline.tracking.facts import StageFacts, environment
from pipeline.tracking.inspection import SeenModel, SeenRun, close, see_champion, see_runs, trash
from pipeline.tracking.marks import mark_trials
from pipeline.tracking.registry import (
    Champion,
    RegisteredModel,
    champion,
    crown,
    fetch_card,
    fetch_model,
    register_winner,
    version_of,
)
from pipeline.tracking.store import check_store, local_uri
from pipeline.tracking.tracker import Tracker
from pipeline.tracking.window import Window, ui_command

__all__ = [
    "Champion",
    "RegisteredModel",
    "SeenModel",
    "SeenRun",
    "StageFacts",
    "Tracker",
    "Window",
    "champion",
    "check_store",
    "close",
    "crown",
    "environment",
    "fetch_card",
    "fetch_model",
    "local_uri",
    "mark_trials",
    "register_winner",
    "see_champion",
    "see_runs",
    "trash",
    "ui_command",
    "version_of",
]
