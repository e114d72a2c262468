"""What the processes share in which CPython's allocations fail (`_testcapi`). See `test_fail_nth_client.py`."""

import _testcapi  # type: ignore[import-not-found]
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hiredis


def pack_command(command: tuple[Any, ...]) -> bytes:
    """As hiredis packs, whose own function dies of a failed allocation: it reads through a null pointer."""
    text = (str(word).encode() if isinstance(word, str | int) else word for word in command)
    return b"*%d\r\n" % len(command) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in text)


hiredis.pack_command = pack_command  # type: ignore[assignment] # before anything connects

_bootstrap: Any = threading.Thread._bootstrap  # type: ignore[attr-defined]


def bootstrap(thread: threading.Thread) -> None:
    """A thread that has no memory to begin ends its process: CPython's `start` would wait for it for ever."""
    try:
        _bootstrap(thread)
    except BaseException:
        os._exit(1)


threading.Thread._bootstrap = bootstrap  # type: ignore[attr-defined]


@contextmanager
def failing(nth: int) -> Iterator[None]:
    """The nth allocation of any thread fails, once."""
    _testcapi.set_nomemory(nth, nth + 1)
    try:
        yield
    finally:
        _testcapi.remove_mem_hooks()


def is_still_to_fail() -> bool:
    """Whether the allocation that is to fail has not come yet."""
    try:
        for size in range(2000):
            bytes(64 + size % 64)
    except MemoryError:
        return True
    return False
