"""Workers: read frames, run handlers, commit what became of the tasks."""

from ttp.worker.batch import Batch
from ttp.worker.context import current_task
from ttp.worker.handler import Handler
from ttp.worker.pool import Lifespan, WorkerPool

__all__ = ["Batch", "Handler", "Lifespan", "WorkerPool", "current_task"]
