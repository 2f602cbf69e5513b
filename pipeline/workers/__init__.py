"""Where trials are trained: workers behind one seam, whose order of results is a virtual clock's.

with LocalPool(settings, places(num_trials), folder) as pool:
    trainer = VirtualTrainer(pool, cost, recorded)
"""

from pipeline.workers.clock import VirtualTrainer, WorkerPool
from pipeline.workers.pool import LocalPool
from pipeline.workers.process import places

__all__ = ["LocalPool", "VirtualTrainer", "WorkerPool", "places"]
