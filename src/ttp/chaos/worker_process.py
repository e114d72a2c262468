"""What a worker process of a run is: `python -m ttp.chaos.worker_process DIRECTORY STALL POISON SPIN`.

Writes, when it ends in good order, how many of its commits were refused, and how many tasks it put off:
`ended.<pid>`.
"""

import json
import os
import signal
import sys
from pathlib import Path

from ttp.app import App
from ttp.chaos.ledgers import ExecutionLedger
from ttp.policy import CircuitBreaker, RetryPolicy
from ttp.worker.pool import WorkerPool

DOWN = "down"  # while a file of this name is there, what the handlers call is down


def main(directory: Path, stall: float, poison: int, spin: int) -> None:
    """Serve until SIGTERM.

    Args:
        stall: seconds without heartbeat after which this worker takes over another's frames.
        poison: every so many-th task kills the process; 0: none does.
        spin: turns of a loop in every task, so that a fault finds workers in their work.
    """
    app = App("chaos")
    executed = ExecutionLedger(directory)
    down = directory / DOWN
    committed = app.remote("committed", queue="ledger")

    def work(n: int) -> None:
        executed.write(n)
        if poison and n % poison == poison - 1:
            os.kill(os.getpid(), signal.SIGABRT)
        if down.exists():
            raise ConnectionError("down")
        committed.emit(n)  # a child commits with its parent, or not at all
        sum(range(spin))

    # A short window: what ran well before the fault does not outweigh it for long.
    breaker = CircuitBreaker("dependency", window=1.0, wait=0.5, max_wait=0.5, ramp=0.5, clock=app.clock)
    app.task(name="work", retry=RetryPolicy(max_attempts=50, max_delay=0.5), breaker=breaker)(work)
    pool = WorkerPool(app, queues=["default"], stall=stall)
    pool.run()
    slot = pool.worker.stats.slot if pool.worker is not None else None
    counted = (slot.process("fenced"), slot.total("deferred")) if slot is not None else (0, 0)
    (directory / f"ended.{os.getpid()}").write_text(json.dumps(counted))
    app.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
