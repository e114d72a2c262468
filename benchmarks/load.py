"""A producer process: `load.py emit N`, `task NAME N`, `blobs BYTES N`, `many N`, `columns N`, `idle N`, `pings N`,
`threads THREADS N`, `handoffs THREADS N`, `gather COROUTINES N`, `paced RATE SECONDS`, `guarded RATE SECONDS`,
`press N`, `pressed RATE SECONDS PHASE`.
"""

import asyncio
import ctypes
import os
import resource
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable

import harness
from workload import app, blob, echo, guarded, noop, pressed, stamped, summary, total

import ttp
from ttp.coordination.url import Target
from ttp.native import Histogram

WARM_UP = 1.0  # seconds of a paced load that are not recorded
GROUP = 10_000  # groups of tasks a second, at most: at higher rates tasks are due several at a time
SPIN = 60_000  # ns before a task is due that are not slept, where tasks are far apart: sleeps end late


def emit(count: int) -> dict[str, float]:
    """Emit no-op tasks as fast as they go."""
    send = noop.emit
    before = _most_resident()
    begun, used = time.monotonic(), time.process_time()
    for n in range(count):
        send("pump-1", n, 21.5)
    app.flush(120.0)
    ended, cpu = time.monotonic(), time.process_time() - used
    return {"begun": begun, "ended": ended, "cpu": cpu, "resident_before": before, "resident_most": _most_resident()}


def _most_resident() -> float:
    """Megabytes that this process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def task(name: str, count: int) -> dict[str, float]:
    """Emit tasks that take their number."""
    send = app.remote(name).emit
    begun = time.monotonic()
    for n in range(count):
        send(n)
    app.flush(120.0)
    return {"begun": begun, "ended": time.monotonic()}


def blobs(size: int, count: int) -> dict[str, float]:
    """Emit payloads of so many bytes."""
    send, data = blob.emit, bytes(size)
    begun = time.monotonic()
    for _ in range(count):
        send(data)
    app.flush(120.0)
    return {"begun": begun, "ended": time.monotonic()}


def columns(count: int) -> dict[str, float]:
    """Submit columns of (device, timestamp, value), a million events a call."""
    import numpy as np  # noqa: PLC0415 - this role alone needs it

    rows = min(count, 1_000_000)
    device = ttp.Dictionary(np.arange(rows) % 100, [f"pump-{n}" for n in range(100)])
    at = np.datetime64("2026-01-01", "us") + np.arange(rows)
    value = np.arange(rows, dtype=float)
    begun = time.monotonic()
    for _ in range(count // rows):
        total.submit_columns(device=device, at=at, value=value)
    return {"begun": begun, "ended": time.monotonic()}


def many(count: int) -> dict[str, float]:
    """submit_many in groups of 100,000, and read every 1000th result back."""
    begun = time.monotonic()
    handles = []
    for start in range(0, count, 100_000):
        rows = [("pump-1", n, 21.5) for n in range(start, min(count, start + 100_000))]
        handles.append(echo.submit_many(rows))
    ended = time.monotonic()
    wrong = 0
    for group, part in enumerate(handles):
        wrong += sum(part[n].result(60.0) != group * 100_000 + n for n in range(0, len(part), 1000))
    return {"begun": begun, "ended": ended, "wrong": wrong}


def idle(count: int) -> dict[str, object]:
    """One task at a time: submit to accepted, and submit to result."""
    accepted, returned = Histogram(), Histogram()
    for n in range(count + 50):
        begun = time.perf_counter_ns()
        handle = echo.submit("pump-1", n, 21.5)
        taken = time.perf_counter_ns()
        handle.result(10.0)
        if n >= 50:
            accepted.record(taken - begun)
            returned.record(time.perf_counter_ns() - begun)
    return {"accepted": summary(accepted), "result": summary(returned)}


def pings(count: int) -> dict[str, object]:
    """A command that does nothing, over the server's socket: what a round trip takes without any library."""
    histogram = Histogram()
    target = Target.parse(os.environ["TTP_URL"])
    family = socket.AF_UNIX if target.path else socket.AF_INET
    with socket.socket(family) as wire:
        wire.connect(target.path or (target.host, target.port))
        for _ in range(count):
            begun = time.perf_counter_ns()
            wire.sendall(b"PING\r\n")
            wire.recv(64)
            histogram.record(time.perf_counter_ns() - begun)
    return summary(histogram)


def threads(number: int, count: int) -> dict[str, object]:
    """Submit from several threads at once: each waits for its own acceptance."""
    histogram = Histogram()

    def work() -> None:
        submit, clock, record = noop.submit, time.perf_counter_ns, histogram.record
        for n in range(count // number):
            begun = clock()
            submit("pump-1", n, 21.5)
            record(clock() - begun)

    noop.submit("pump-1", 0, 0.0)
    seconds = at_once(number, work)
    return {"rate": histogram.count / seconds, **summary(histogram)}


def handoffs(number: int, count: int) -> dict[str, float]:
    """What `threads` could reach at most: each waits for a lock that the last of them to come releases."""
    waiting: deque[threading.Lock] = deque()

    def work() -> None:
        for _ in range(count // number):
            turn = threading.Lock()
            turn.acquire()
            waiting.append(turn)
            if len(waiting) == number:
                for turn_of_another in [waiting.popleft() for _ in range(number)]:
                    turn_of_another.release()
            turn.acquire()

    return {"rate": count / at_once(number, work)}


def at_once(number: int, work: Callable[[], None]) -> float:
    """Seconds that so many threads take for it."""
    workers = [threading.Thread(target=work) for _ in range(number)]
    begun = time.monotonic()
    for thread in workers:
        thread.start()
    for thread in workers:
        thread.join()
    return time.monotonic() - begun


def gather(number: int, count: int) -> dict[str, object]:
    """Submit from coroutines of one event loop: each waits for its own acceptance."""
    histogram = Histogram()

    async def work() -> None:
        for n in range(count // number):
            begun = time.perf_counter_ns()
            await noop.asubmit("pump-1", n, 21.5)
            histogram.record(time.perf_counter_ns() - begun)

    async def work_all() -> float:
        await noop.asubmit("pump-1", 0, 0.0)
        begun = time.monotonic()
        await asyncio.gather(*(work() for _ in range(number)))
        return time.monotonic() - begun

    seconds = asyncio.run(work_all())
    return {"rate": histogram.count / seconds, **summary(histogram)}


def paced(rate: int, seconds: float) -> dict[str, float]:
    """An open loop: tasks are due at fixed times, and say so, whether or not the producer is held up."""
    stamped.emit(0)
    app.flush()
    return pace(rate, seconds, stamped.emit)


def paced_guarded(rate: int, seconds: float) -> dict[str, float]:
    """The same behind a breaker."""
    guarded.emit(0)
    app.flush()
    return pace(rate, seconds, guarded.emit)


def press(count: int) -> dict[str, float]:
    """Emit handlers that compute, as fast as they go."""
    send, padding = pressed.emit, bytes(200)
    begun = time.monotonic()
    for _ in range(count):
        send(0, 0, padding)
    app.flush(120.0)
    return {"begun": begun, "ended": time.monotonic()}


def paced_pressed(rate: int, seconds: float, phase: int) -> dict[str, float]:
    """The same with handlers that compute, some of which the app may not take."""
    padding = bytes(200)
    refused = 0

    def send(due: int) -> None:
        nonlocal refused
        try:
            pressed.emit(due, phase if due else 0, padding)
        except ttp.QueueFull:
            refused += 1

    sent = pace(rate, seconds, send)
    counts = app.sending
    return {**sent, "refused": refused, "dropped": counts.dropped, "accepted": counts.accepted}


def pace(rate: int, seconds: float, send: Callable[[int], object]) -> dict[str, float]:
    """Call send(due time in ns, 0 during the warm-up) at a held rate."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(29, 1, 0, 0, 0)  # PR_SET_TIMERSLACK, ns: sleeps end when they should
    clock, sleep = time.monotonic_ns, time.sleep
    group = max(1, rate // GROUP)
    gap = group * 1_000_000_000 // rate
    spin = SPIN if rate <= 2_000 else 0
    record_from, total = int(rate * WARM_UP), int(rate * (WARM_UP + seconds))
    used, waited = time.process_time(), harness.waited(os.getpid())
    begun = due = clock() + 1_000_000
    for n in range(0, total, group):
        while (early := due - clock()) > 0:
            if early > spin:
                sleep((early - spin) * 1e-9)
        stamp = due if n >= record_from else 0
        for _ in range(group):
            send(stamp)
        due += gap
    app.flush(120.0)
    took, used, waited = (clock() - begun) / 1e9, time.process_time() - used, harness.waited(os.getpid()) - waited
    recorded = total - record_from
    return {"held": total / took, "tasks": total, "recorded": recorded, "seconds": took, "cpu": used, "waited": waited}


if __name__ == "__main__":
    roles: dict[str, Callable[..., object]]
    roles = {"emit": emit, "task": task, "blobs": blobs, "many": many, "columns": columns, "idle": idle}
    roles |= {"pings": pings, "threads": threads, "handoffs": handoffs, "gather": gather}
    roles |= {"paced": paced, "guarded": paced_guarded, "press": press, "pressed": paced_pressed}
    role = roles[sys.argv[1]]
    arguments = [int(text) if text.isdecimal() else text for text in sys.argv[2:]]
    with app:
        harness.play(lambda: role(*arguments))
