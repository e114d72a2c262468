"""The store of a producer: a folder with a journal for each of its chains, and one process that owns it.

Emitted tasks wait there while the server is away or has no room (``on_full="store"``), and are sent in order
when it is back, also by a later process.
"""

import fcntl
import json
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ttp.errors import StoreUnavailable
from ttp.policy import Clock
from ttp.producer.counts import SendingCounts
from ttp.producer.journal import Journal
from ttp.producer.keeper import Fsync
from ttp.producer.records import HEAD
from ttp.producer.stored import StoredChain

log = logging.getLogger("ttp.producer")

SEGMENT = 1 << 20  # bytes


class Store:
    """An open store. StoreUnavailable if the folder cannot be used, or belongs to another process or app.

    Args:
        folder: made where it is missing.
        app: whose tasks these are.
        limit: bytes on disk.

    Attributes:
        trouble: why nothing is written; empty where all is well.
    """

    def __init__(
        self, folder: Path, *, app: str, limit: int, fsync: Fsync, counts: SendingCounts, clock: Clock
    ) -> None:
        self.folder = folder
        self.limit = limit
        self.trouble = ""
        self._fsync: Fsync = fsync
        self._counts = counts
        self._clock = clock
        self._journals: dict[str, Journal] = {}
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = self._take(folder / "lock")
            try:
                self._id = self._owner(folder / "owner.json", app)
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        if isinstance(error, StoreUnavailable):
            return error
        return StoreUnavailable(f"cannot use the store {self.folder}: {error}. App(store=…) names another folder")

    def _take(self, path: Path) -> int:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode(errors="replace").strip() or "another"
            os.close(lock)
            raise StoreUnavailable(
                f"the store {self.folder} is in use by process {holder}: give each process a folder of its own,"
                " App(store=…)"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        return lock

    def _owner(self, path: Path, app: str) -> str:
        """The id under which the server knows this store, drawn when it was made."""
        try:
            known = json.loads(path.read_text())
            if known["app"] != app:
                raise StoreUnavailable(
                    f"the store {self.folder} belongs to the app {known['app']!r}, not {app!r}: give each its own,"
                    " App(store=…)"
                )
            return str(known["id"])
        except FileNotFoundError:
            pass
        except (ValueError, KeyError, TypeError):
            raise StoreUnavailable(f"{path} is damaged: move the folder away to begin a new store") from None
        drawn = secrets.token_hex(12)
        half = path.with_suffix(".half")
        with half.open("w") as file:
            json.dump({"app": app, "id": drawn}, file)
            file.flush()
            os.fsync(file.fileno())
        half.rename(path)
        return drawn

    # its chains

    def chain_id(self, _task: str, /) -> str:
        """One id for all: a stream has one chain."""
        return self._id

    def chain(self, queue: str, priority: int, chain_id: str, /) -> StoredChain:
        """The chain of a stream, with what waits for it on disk. OSError if that cannot be read."""
        name = f"{queue}.{priority}"
        journal = self._journals[name] = Journal(self.folder / name, segment_bytes=SEGMENT, fsync=self._fsync)
        return StoredChain(chain_id, journal, self, self._counts, self._clock)

    def waiting(self) -> Iterator[tuple[str, int, StoredChain]]:
        """Queue, priority and chain of each stream for which an earlier process has left frames."""
        for folder in sorted(path for path in self.folder.iterdir() if path.is_dir()):
            queue, _, priority = folder.name.rpartition(".")
            if any(folder.glob("*.journal")):
                yield queue, int(priority), self.chain(queue, int(priority), self._id)

    # what they ask

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(journal.size for journal in self._journals.values())

    def write(self, journal: Journal, frame: memoryview, due: float) -> bool:
        """Append a frame. False, and `trouble` says why, where there is no room, or the disk refuses."""
        if self.size + HEAD + len(frame) > self.limit:
            trouble = f"the store {self.folder} is at its limit of {self.limit:,} bytes"
        else:
            try:
                journal.append(frame, due)
            except OSError as error:
                trouble = f"the store {self.folder} cannot be written: {error}"
            else:
                self.trouble = ""
                self.sync_due()
                return True
        self._complain(trouble)
        return False

    def _complain(self, trouble: str) -> None:
        if not self.trouble:
            log.error("%s; emitted tasks wait in memory", trouble)
        self.trouble = trouble

    def sync_due(self) -> None:
        """Sync what is due by the fsync policy."""
        try:
            for journal in self._journals.values():
                journal.sync_due()
        except OSError as error:
            self._complain(f"the store {self.folder} cannot be synced: {error}")

    def close(self) -> None:
        """Sync, close and give the folder free."""
        for journal in self._journals.values():
            journal.close()
        os.close(self._lock)

    def disown(self) -> None:
        """After a fork, in the child: folder and files are the parent's."""
        for journal in self._journals.values():
            journal.disown()
        os.close(self._lock)
