"""How a worker works, as `WorkerPool` was told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in seconds; see `WorkerPool`."""

    threads: int = 1
    concurrency: int = 100
    grace: float = 25.0
    lease: float = 5.0
    stall: float = 60.0
    burst: bool = False
