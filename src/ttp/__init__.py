"""TelemetryTaskProcessor: telemetry events and tasks through Redis or Valkey, at millions a second."""

from typing import TYPE_CHECKING

from ttp.app import App
from ttp.columns.dictionary import Dictionary
from ttp.errors import (
    BadSignature,
    CircuitOpen,
    CorruptFrame,
    QueueFull,
    Reject,
    ResultExpired,
    ResultTimeout,
    RetryAfter,
    SerializationError,
    ServerRefused,
    ServerUnavailable,
    StoreUnavailable,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
    TtpError,
)
from ttp.native import TaskHandle
from ttp.policy import CircuitBreaker, RetryPolicy
from ttp.producer import BatchTask, LocalTask, Task
from ttp.task import Priority, Status, TaskContext
from ttp.version import __version__
from ttp.worker.batch import Batch
from ttp.worker.context import current_task

if TYPE_CHECKING:
    from ttp.claims import claim
    from ttp.coordination.signing import SigningKeys
    from ttp.dead_letters import DeadLetter
    from ttp.worker.pool import WorkerPool

__all__ = [
    "App",
    "BadSignature",
    "Batch",
    "BatchTask",
    "CircuitBreaker",
    "CircuitOpen",
    "CorruptFrame",
    "DeadLetter",
    "Dictionary",
    "LocalTask",
    "Priority",
    "QueueFull",
    "Reject",
    "ResultExpired",
    "ResultTimeout",
    "RetryAfter",
    "RetryPolicy",
    "SerializationError",
    "ServerRefused",
    "ServerUnavailable",
    "SigningKeys",
    "Status",
    "StoreUnavailable",
    "Task",
    "TaskCancelled",
    "TaskContext",
    "TaskFailed",
    "TaskHandle",
    "TaskTimeout",
    "TtpError",
    "WorkerPool",
    "__version__",
    "claim",
    "current_task",
]

_LATE = {
    "DeadLetter": "ttp.dead_letters",
    "SigningKeys": "ttp.coordination.signing",
    "WorkerPool": "ttp.worker.pool",
    "claim": "ttp.claims",
}


def __getattr__(name: str) -> object:
    """Load what producers do not need when it is asked for."""
    if name not in _LATE:
        raise AttributeError(f"module 'ttp' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - import ttp has to be quick

    value = globals()[name] = getattr(import_module(_LATE[name]), name)
    return value
