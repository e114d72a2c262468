"""TelemetryTaskProcessor: telemetry events and tasks through Redis or Valkey, at millions a second."""

from ttp.app import App
from ttp.dead_letters import DeadLetter
from ttp.errors import (
    CorruptFrame,
    QueueFull,
    Reject,
    ResultExpired,
    ResultTimeout,
    RetryAfter,
    SerializationError,
    ServerRefused,
    ServerUnavailable,
    TaskCancelled,
    TaskFailed,
    TaskTimeout,
    TtpError,
)
from ttp.native import TaskHandle
from ttp.policy import RetryPolicy
from ttp.producer import BatchTask, LocalTask, Task
from ttp.task import Priority, Status, TaskContext
from ttp.worker import Batch, WorkerPool, current_task

__all__ = [
    "App",
    "Batch",
    "BatchTask",
    "CorruptFrame",
    "DeadLetter",
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
    "Status",
    "Task",
    "TaskCancelled",
    "TaskContext",
    "TaskFailed",
    "TaskHandle",
    "TaskTimeout",
    "TtpError",
    "WorkerPool",
    "__version__",
    "current_task",
]

__version__ = "0.1.0"
