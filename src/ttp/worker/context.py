"""The task that runs in this thread or coroutine."""

from typing import TYPE_CHECKING

from ttp.native import scope
from ttp.task import TaskContext

if TYPE_CHECKING:
    from ttp.worker.job import Job


def current_task() -> TaskContext:
    """Which task runs here: id, name, attempt, and what the app's lifespan yielded.

    Raises:
        RuntimeError: no handler runs here.
    """
    part = scope.get()
    if part is None or part.running < 0:
        raise RuntimeError("no task runs here: current_task() is for handlers")
    job: Job = part.state
    return job.context(part.running)
