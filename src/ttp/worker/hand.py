"""What a worker has in hand: jobs waiting, jobs running, and the ids of all it answers for."""

import threading
from collections import deque

from ttp.worker.job import Job
from ttp.worker.join import Joiner


class Hand:
    """Shared by the worker's own thread, its runners and the watchdog; the lock is never held across I/O.

    Args:
        joiner: keeps frames that wait for others.

    Attributes:
        room: set when a job is over.
    """

    def __init__(self, joiner: Joiner) -> None:
        self._joiner = joiner
        self._lock = threading.Lock()
        self._waiting: deque[Job] = deque()
        self._suspects: deque[Job] = deque()
        self._jobs: dict[int, Job] = {}
        self._known: set[str] = set()
        self.room = threading.Event()

    def learn(self, entry_id: str) -> bool:
        """Answer for an entry from now on; False if this worker already does."""
        with self._lock:
            if entry_id in self._known or any(job.id == entry_id for job in self._jobs.values()):
                return False
            self._known.add(entry_id)
            return True

    def forget(self, entry_id: str) -> None:
        """The entry is committed."""
        with self._lock:
            self._known.discard(entry_id)

    def add(self, job: Job, age: float) -> None:
        """A job to be run, sent so many seconds ago; one that a worker died over is run alone."""
        with self._lock:
            self._jobs[id(job)] = job
            if job.crashes:
                self._suspects.append(job)
            elif not self._joiner.add(job, age):
                self._waiting.append(job)

    @property
    def ready(self) -> bool:
        """Some job is to be run now."""
        with self._lock:
            return bool(self._waiting) or self._joiner.ready(idle=True)

    def take(self) -> list[Job]:
        """The next job to run, or those to be run in one call; joins that are due come first."""
        with self._lock:
            jobs = self._joiner.take(idle=not self._waiting)
            return jobs or ([self._waiting.popleft()] if self._waiting else [])

    def join_wait(self, limit: float) -> float:
        """A read goes out that may bring more for joins. Seconds until one is due, at most `limit`."""
        with self._lock:
            self._joiner.read()
            return self._joiner.wait(limit)

    @property
    def suspect(self) -> Job | None:
        """The next job to run alone; it stays here until it is taken."""
        with self._lock:
            return self._suspects[0] if self._suspects else None

    def take_suspect(self) -> None:
        """The next job to run alone is about to."""
        with self._lock:
            if self._suspects:
                self._suspects.popleft()

    def take_waiting(self, *, spare: bool = False) -> list[Job]:
        """All jobs that have not begun, or all but the next one to run alone."""
        with self._lock:
            spared = [self._suspects.popleft()] if spare and self._suspects else []
            jobs = [*self._waiting, *self._suspects, *self._joiner.take_all()]
            self._waiting.clear()
            self._suspects.clear()
            self._suspects.extend(spared)
            return jobs

    def over(self, job: Job) -> None:
        """A job is committed."""
        with self._lock:
            self._jobs.pop(id(job), None)
            self._known.discard(job.first_id)
        if not self.room.is_set():  # setting takes a lock, and most workers wait for nobody
            self.room.set()

    def await_room(self, seconds: float) -> None:
        """Wait until a job is over, for so long at most."""
        self.room.wait(seconds)
        self.room.clear()

    def jobs(self) -> list[Job]:
        """All jobs that are not over."""
        with self._lock:
            return list(self._jobs.values())

    @property
    def waiting(self) -> int:
        """Jobs that have not begun."""
        with self._lock:
            return len(self._waiting) + len(self._joiner)

    @property
    def suspects(self) -> int:
        """Jobs to run alone."""
        return len(self._suspects)

    @property
    def held(self) -> int:
        """Jobs that are not over."""
        return len(self._jobs)
