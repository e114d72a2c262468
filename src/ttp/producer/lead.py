"""One thread leads: it does the I/O for all that wait."""

import contextlib
import threading
from collections import deque
from typing import Protocol, Self


class Settled(Protocol):
    """What followers wait for: its outcome is None until it is settled."""

    outcome: object


class Lead:
    """The lock of a connection whose holder works for everybody (the leader/followers pattern).

    A thread that finds it taken follows: it sleeps until what it waits for is settled, or until the lead is
    free again. So a hundred threads that submit cost one round trip, and no fight for the lock.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followers: deque[tuple[Settled, threading.Lock]] = deque()

    def __enter__(self) -> Self:
        self._lock.acquire()
        return self

    def __exit__(self, kind: object, error: object, traceback: object, /) -> None:
        self.release()  # and nothing before it: packing arguments takes memory, which may be what is short

    def take(self) -> bool:
        """Lead, if nobody does."""
        return self._lock.acquire(blocking=False)

    def take_or_follow(self, awaited: Settled, timeout: float) -> bool:
        """True: the caller leads. False: awaited may be settled, or the lead free: look again."""
        if self.take():
            return True
        woken = threading.Lock()
        woken.acquire()
        follower = (awaited, woken)
        self._followers.append(follower)
        leads = was_woken = False
        try:
            # What happened before the append has woken nobody here, so both are looked at once more.
            leads = awaited.outcome is None and self.take()
            was_woken = not leads and awaited.outcome is None and woken.acquire(timeout=timeout)
        finally:
            if not was_woken:
                self._leave(follower)
        return leads

    def release(self) -> None:
        """Lead no more; a follower may."""
        self._lock.release()
        self._wake_one()

    def settled(self) -> None:
        """The leader has settled something: wake those who wait for it."""
        for _ in range(len(self._followers)):
            awaited, woken = follower = self._followers.popleft()
            if awaited.outcome is not None:
                woken.release()
            else:
                self._followers.append(follower)

    def _wake_one(self) -> None:
        if self._followers:
            with contextlib.suppress(IndexError):  # just left
                self._followers.popleft()[1].release()

    def _leave(self, follower: tuple[Settled, threading.Lock]) -> None:
        try:
            self._followers.remove(follower)
        except ValueError:  # just woken: that was somebody's turn
            self._wake_one()
