"""What a producer process of a run is: `python -m ttp.chaos.producer_process DIRECTORY STOP`."""

import sys
from pathlib import Path

from ttp.app import App
from ttp.chaos.ledgers import ProducerLedger

BATCH = 100


def main(directory: Path, stop: int) -> None:
    """Emit the numbers from where the last process of this name ended up to stop, in batches.

    The ledger knows of each batch before, and once it is accepted.
    """
    app = App("chaos", producer="source")
    work = app.remote("work")
    ledger = ProducerLedger(directory / "producer")
    start = app.position(work)
    ledger.write("accepted", 0, start)
    for first in range(start, stop, BATCH):
        last = min(stop, first + BATCH)
        ledger.write("tried", first, last)
        for n in range(first, last):
            work.emit(n)
        app.flush()
        ledger.write("accepted", first, last)
    app.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
