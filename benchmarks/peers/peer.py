"""The part that is the same for every peer; it runs in the peer's own environment, on the standard library alone.

A peer's file makes three tasks of `noop`, `stamped` and `slow`, and hands `main` a `Peer`. Every task has a number,
and marks a byte of a mapped file when it is executed: that survives SIGKILL, and costs every peer the same.
"""

import asyncio
import inspect
import json
import mmap
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

URL = os.environ["PEER_URL"]
RESULTS = os.environ.get("PEER_RESULTS") == "1"
BULK = 1_000  # tasks of a bulk call
_folder = Path(os.environ["PEER_MARKS"])


def _map(name: str) -> memoryview:
    with (_folder / name).open("r+b") as file:
        return memoryview(mmap.mmap(file.fileno(), 0))


_marks = _map("marks")
_latencies = _map("latencies").cast("Q")


def noop(n: int) -> int:
    """Do nothing."""
    _marks[n] += 1
    return n


def stamped(n: int, due: int) -> None:
    """Note how long ago the task was due."""
    _latencies[n] = time.monotonic_ns() - due
    _marks[n] += 1


def slow(n: int) -> None:
    """Take 2 ms."""
    time.sleep(0.002)
    _marks[n] += 1


@dataclass(frozen=True)
class Peer:
    """How one task queue is called.

    Attributes:
        packages: whose versions are reported.
        configuration: what was chosen, for people.
        send: (task name, arguments): the call for one task; may be a coroutine function.
        send_many: (task name, rows): the bulk call; None: there is none.
        finish: called when all is sent.
        buffered: `send` returns before the server has the task, so it stands beside the bulk calls of others.
    """

    packages: Sequence[str]
    configuration: str
    send: Callable[..., object]
    send_many: Callable[[str, Sequence[tuple[int, ...]]], object] | None = None
    finish: Callable[[], object] = lambda: None
    buffered: bool = False


async def _call(function: Callable[..., object], *arguments: object) -> None:
    out = function(*arguments)
    if inspect.iscoroutine(out):  # a handle can be awaited too, and is not
        await out


async def _each(peer: Peer, task: str, seconds: float, most: int) -> dict[str, float]:
    waits = inspect.iscoroutinefunction(peer.send)
    await _call(peer.send, task, 0)  # connected, imported
    begun, n = time.monotonic(), 1
    while n < most and (n % 50 or time.monotonic() - begun < seconds):
        out = peer.send(task, n)
        if waits:
            assert isinstance(out, Awaitable)
            await out
        n += 1
    await _call(peer.finish)
    return {"tasks": n, "seconds": max(1e-9, time.monotonic() - begun)}


async def _many(peer: Peer, task: str, seconds: float, most: int) -> dict[str, float]:
    assert peer.send_many is not None
    begun, n = time.monotonic(), 0
    while n < most and time.monotonic() - begun < seconds:
        rows = [(number,) for number in range(n, min(most, n + BULK))]
        await _call(peer.send_many, task, rows)
        n += len(rows)
    await _call(peer.finish)
    return {"tasks": n, "seconds": time.monotonic() - begun}


async def _paced(peer: Peer, rate: int, count: int) -> dict[str, float]:
    gap = 1_000_000_000 // rate
    begun = due = time.monotonic_ns() + 1_000_000
    for n in range(count):
        while (early := due - time.monotonic_ns()) > 0:  # noqa: ASYNC110 - a clock, no event
            await asyncio.sleep(early * 1e-9 if early > 200_000 else 0)
        await _call(peer.send, "stamped", n, due)
        due += gap
    await _call(peer.finish)
    return {"held": count / ((time.monotonic_ns() - begun) / 1e9)}


def main(peer: Peer) -> None:
    """`describe`, `each|many TASK SECONDS MOST`, `paced RATE COUNT`: prints JSON."""
    role, *rest = sys.argv[1:]
    out: object
    if role == "describe":
        versions = {name: version(name) for name in peer.packages}
        out = {
            "version": versions[peer.packages[0]],
            "packages": versions,
            "python": platform.python_version(),
            "configuration": peer.configuration,
            "bulk": peer.send_many is not None,
            "buffered": peer.buffered,
        }
    elif role == "paced":
        out = asyncio.run(_paced(peer, int(rest[0]), int(rest[1])))
    else:
        send = {"each": _each, "many": _many}[role]
        out = asyncio.run(send(peer, rest[0], float(rest[1]), int(rest[2])))
    print(json.dumps(out), flush=True)
    os._exit(0)  # all is sent; native clients may crash when the interpreter ends
