"""Submit and emit while the nth allocation of the producer's process fails, for many n. See the test.

The server is real; the handler's process is this one, which has its memory back by then. `failing_producer.py 1` takes
every n, `failing_producer.py 3` every third.
"""

import logging
import sys
import time
from collections import Counter

import without_memory

import ttp
from real_server import BINARIES, running
from ttp import testing

QUIET = 3  # cycles in succession that are over before their allocation fails: there are no further ones


class Cycle:
    """Calls of one task, numbered, and what became of them."""

    def __init__(self, app: ttp.App) -> None:
        self.app = app
        self.ran: Counter[int] = Counter()
        self.sure: list[int] = []  # accepted
        self.unsure: list[int] = []  # their caller was told of an error
        self.work = app.task(self._work)

    def _work(self, number: int) -> None:
        self.ran[number] += 1

    def fail(self, nth: int) -> bool:
        """One task by `submit` and one by `emit` while an allocation fails. False if it was none of these calls'."""
        submitted, emitted = 4 * nth, 4 * nth + 1
        sure = late = False
        try:
            with without_memory.failing(nth):
                self.work.emit(emitted)
                self.work.submit(submitted)
                self.app.flush()
                sure = True
                late = without_memory.is_still_to_fail()
        except (MemoryError, RuntimeError):  # "can't allocate lock"
            pass
        (self.sure if sure else self.unsure).extend((submitted, emitted))
        return not late

    def works(self, nth: int) -> None:
        """Whatever failed, it is as if nothing had."""
        self.work.submit(4 * nth + 2)
        self.work.emit(4 * nth + 3)
        self.app.flush()
        self.sure += (4 * nth + 2, 4 * nth + 3)
        deadline = time.monotonic() + 20
        while self.app._producer.blocks[0]:  # whoever took the reply may just be giving it back
            assert time.monotonic() < deadline, f"allocation {nth}: a block is not given back"
            time.sleep(0.001)
        flusher = self.app._producer._flusher
        assert flusher is not None
        assert flusher._thread.is_alive(), f"allocation {nth}: the flusher is dead"

    def check(self) -> None:
        """Nothing is lost or doubled."""
        assert [number for number in self.sure if self.ran[number] != 1] == []
        assert [number for number in self.unsure if self.ran[number] > 1] == []
        sending = self.app.sending
        assert sending.accepted == sending.submitted == self.ran.total(), (sending, self.ran.total())


def main(step: int) -> None:
    """Print how many allocations failed."""
    logging.disable()
    with running(BINARIES[0]) as server, ttp.App("plant", server.url) as app:
        cycle = Cycle(app)
        cycle.works(0)
        nth, failed, quiet = 1, 0, 0
        while quiet < QUIET:
            happened = cycle.fail(nth)
            quiet = 0 if happened else quiet + 1
            failed += happened
            cycle.works(nth)
            nth += step
        testing.drain(app)
        cycle.check()
    sys.stdout.write(f"{failed}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
