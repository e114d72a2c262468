"""From a call to an accepted frame: tasks, frames on their way, the chain that makes acceptance happen once."""

from ttp.producer.producer import Producer
from ttp.producer.task import BatchTask, LocalTask, Task

__all__ = ["BatchTask", "LocalTask", "Producer", "Task"]
