"""What a producer does with its store: opens it, frees the pool with it, and says what stays there."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from ttp.errors import TtpError
from ttp.producer.counts import SendingCounts
from ttp.producer.flight import Flight

if TYPE_CHECKING:
    from ttp.producer.store import Store

Fsync = Literal["always", "everysec", "never"]
OpenStore = Callable[[SendingCounts], "Store"]

log = logging.getLogger("ttp.producer")


class Keeper:
    """The store of one producer process; under the producer's lock.

    Args:
        open_store: opens the folder; StoreUnavailable if that cannot be used.
    """

    def __init__(self, open_store: OpenStore, flight: Flight, counts: SendingCounts) -> None:
        self._open_store = open_store
        self._flight = flight
        self._counts = counts
        self._store: Store | None = None

    def open(self) -> None:
        """Open the store, if it is not, and put what an earlier process has left there at the front of its chains."""
        if self._store is not None:
            return
        store = self._open_store(self._counts)
        for queue, priority, chain in store.waiting():
            self._flight.add(queue, priority, chain.id, chain)
        self._flight.owner = store
        self._store = store

    @property
    def trouble(self) -> str:
        """Why the store takes nothing now; empty where it does."""
        return self._store.trouble if self._store is not None else ""

    def make_room(self) -> None:
        """Write to disk what is in memory."""
        for chain in self._flight.stored:
            chain.keep()

    def sync_due(self) -> None:
        """Sync what is due by the fsync policy."""
        if self._store is not None:
            self._store.sync_due()

    def close(self, error: TtpError | None) -> int:
        """Keep what was not accepted, for this reason, and close. How many tasks could not be kept."""
        if self._store is None:
            return 0
        kept = sum(chain.tasks for chain in self._flight.stored if chain.keep())
        left = sum(chain.tasks for chain in self._flight.stored) - kept
        if kept:
            log.warning("%d tasks wait in the store %s for the next process: %s", kept, self._store.folder, error)
        self._store.close()
        self._store = None
        return left

    def disown(self) -> None:
        """After a fork, in the child: folder and files are the parent's."""
        if self._store is not None:
            self._store.disown()
