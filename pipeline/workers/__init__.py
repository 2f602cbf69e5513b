"""Where trials are trained: workers behind one seam, whose order of results is a virtual clock's.

with open_pool(settings, num_trials, parallel, total_cost, folder) as pool:
    trainer = VirtualTrainer(pool, cost, recorded)
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

from pipeline.errors import StudyError
from pipeline.workers.clock import VirtualTrainer, WorkerPool
from pipeline.workers.pool import Pool
from pipeline.workers.process import Message, num_worth, places

__all__ = ["Pool", "VirtualTrainer", "WorkerPool", "check", "open_pool", "places"]


def check() -> None:
    """Pass over a place to train that is there and is as the environment asks.

    Raises:
        StudyError: STUDY_WORKERS or STUDY_CLUSTER asks for what cannot be.
        DataError, StoreError: see `cluster.check`.
    """
    places(1)
    if os.environ.get("STUDY_CLUSTER"):
        _cluster().check()


def open_pool(
    settings: Message,
    num_trials: int,
    parallel: int,
    total_cost: int,
    log_folder: Path,
    trial_minutes: float | None = None,
) -> Pool:
    """The workers that STUDY_CLUSTER chooses: of a cluster, or of this machine.

    Args:
        num_trials, parallel: how many trials there are, and are in flight at a time.
        total_cost: of all trials, in multiply-adds: no more workers are started than are worth it.
        settings, log_folder, trial_minutes: see `Pool`.
    """
    if not os.environ.get("STUDY_CLUSTER"):
        return Pool(settings, places(num_trials, total_cost), log_folder, trial_minutes)
    most = min(num_trials, parallel, num_worth(total_cost))
    pool: Pool = _cluster().open_pool(settings, most, log_folder, trial_minutes)
    return pool


def _cluster() -> ModuleType:
    try:
        from pipeline.workers import cluster
    except ModuleNotFoundError as error:
        must, advice = "ray must be installed.", 'Run: pip install "keras-study[cluster]", or unset it.'
        raise StudyError.of(must, error, advice, "STUDY_CLUSTER") from None
    return cluster
