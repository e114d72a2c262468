"""What a worker has in hand: jobs waiting, jobs running, and the ids of all it answers for."""

import threading
from collections import deque

from ttp.worker.job import Job


class Hand:
    """Shared by the worker's own thread, its runners and the watchdog; the lock is never held across I/O.

    Attributes:
        room: set when a job is over.
    """

    def __init__(self) -> None:
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

    def add(self, job: Job) -> None:
        """A job to be run; one that a worker died over is run alone."""
        with self._lock:
            self._jobs[id(job)] = job
            (self._suspects if job.crashes else self._waiting).append(job)

    def take(self) -> Job | None:
        """The next job to run."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

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
            jobs = [*self._waiting, *self._suspects]
            self._waiting.clear()
            self._suspects.clear()
            self._suspects.extend(spared)
            return jobs

    def over(self, job: Job) -> None:
        """A job is committed."""
        with self._lock:
            self._jobs.pop(id(job), None)
            self._known.discard(job.first_id)
        self.room.set()

    def jobs(self) -> list[Job]:
        """All jobs that are not over."""
        with self._lock:
            return list(self._jobs.values())

    @property
    def waiting(self) -> int:
        """Jobs to run."""
        return len(self._waiting)

    @property
    def suspects(self) -> int:
        """Jobs to run alone."""
        return len(self._suspects)

    @property
    def held(self) -> int:
        """Jobs that are not over."""
        return len(self._jobs)
