"""What a producer process of a run is: `python -m ttp.chaos.producer_process DIRECTORY START`."""

import sys
from itertools import count
from pathlib import Path

from ttp.app import App
from ttp.chaos.ledgers import ProducerLedger

BATCH = 100


def main(directory: Path, start: int) -> None:
    """Emit batch after batch until killed; the ledger knows of each before, and once it is accepted."""
    app = App("chaos")
    work = app.remote("work")
    ledger = ProducerLedger(directory / "producer")
    for first in count(start, BATCH):
        ledger.write("tried", first, first + BATCH)
        for n in range(first, first + BATCH):
            work.emit(n)
        app.flush()
        ledger.write("accepted", first, first + BATCH)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
