"""What a worker process of a run is: `python -m ttp.chaos.worker_process DIRECTORY STALL POISON`.

Writes, when it ends in good order, how many of its commits were refused: `fenced.<pid>`.
"""

import os
import signal
import sys
from pathlib import Path

from ttp.app import App
from ttp.chaos.ledgers import ExecutionLedger
from ttp.worker.pool import WorkerPool

SPIN = 2000  # turns of a loop in every task, so that a fault finds workers in their work


def main(directory: Path, stall: float, poison: int) -> None:
    """Serve until SIGTERM.

    Args:
        stall: seconds without heartbeat after which this worker takes over another's frames.
        poison: every so many-th task kills the process; 0: none does.
    """
    app = App("chaos")
    executed = ExecutionLedger(directory)
    committed = app.remote("committed", queue="ledger")

    def work(n: int) -> None:
        executed.write(n)
        if poison and n % poison == poison - 1:
            os.kill(os.getpid(), signal.SIGABRT)
        committed.emit(n)  # a child commits with its parent, or not at all
        sum(range(SPIN))

    app.task(name="work")(work)
    pool = WorkerPool(app, queues=["default"], stall=stall)
    pool.run()
    fenced = pool.worker.stats.slot.process("fenced") if pool.worker is not None else 0
    (directory / f"fenced.{os.getpid()}").write_text(str(fenced))
    app.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))
