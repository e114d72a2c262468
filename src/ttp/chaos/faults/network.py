"""Faults of the network between ttp and the server: connections cut in the middle of requests and replies."""

import time

from ttp.chaos.report import Report
from ttp.chaos.run import Run
from ttp.coordination.server_binary import ServerBinary

REPLY = 30  # bytes: no reply to a submit is shorter
FAR = 1 << 20  # bytes: behind the end of any submit of one task
TRIES = 5  # a fid has 17 to 20 digits, so the last bytes are not always there


def lost_reply(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """The server accepts a submit, and its reply never arrives."""
    with Run("lost-reply", binary, tasks=tasks, seed=seed, count=count, proxied=True) as run:
        run.emit(1)
        for _ in range(count):
            _cut(run, "reply", 0)
        return _rest(run)


def cut(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """A submit cut behind the bytes of its request and of its reply, evenly spaced; then any traffic at random.

    Half of the cuts is at random, those of workers' connections among them. From some 1,200 cuts on every byte
    of the submit is one of the places.
    """
    with Run("cut", binary, tasks=tasks, seed=seed, count=count, proxied=True) as run:
        run.emit(1)
        size = min(_request_bytes(run) for _ in range(TRIES))
        places = [("request", byte) for byte in range(size - 4)] + [("reply", byte) for byte in range(REPLY)]
        step = max(1, 2 * len(places) // count)
        for direction, byte in places[::step]:
            _cut(run, direction, byte)
        for proxy, share in zip(run.proxies, (1, 3), strict=True):
            goal = proxy.cuts + max(1, (count - len(places[::step])) * share // 4 + 1)
            proxy.cut_at_random(run.rng, 10, goal)
            run.report.injected -= proxy.cuts
            while proxy.cuts < goal:
                run.emit_in_step(20)
                run.fleet.replace_dead()
            run.report.injected += proxy.cuts
            proxy.disarm()
        return _rest(run)


def _request_bytes(run: Run) -> int:
    """What passes to the server while one task is submitted: its request, and now and then another of the producer."""
    proxy = run.proxies[0]
    proxy.arm("request", FAR)
    run.emit(1)
    passed = FAR - (proxy.left or 0)
    proxy.disarm()
    return passed


def _cut(run: Run, direction: str, byte: int) -> None:
    """Submit a task whose request or reply is cut behind that byte; it is accepted all the same, once."""
    proxy = run.proxies[0]
    for _ in range(TRIES):
        proxy.arm(direction, byte)
        begun = time.monotonic()
        run.emit(1)
        if proxy.left is None:
            run.report.recoveries.append(time.monotonic() - begun)
            run.report.injected += 1
            return
        proxy.disarm()
    run.report.problems.append(f"no {direction} had a byte {byte}")


def _rest(run: Run) -> Report:
    """The tasks that are still to be sent, and the verdict."""
    run.going_on = False
    run.feed().finish()
    return run.judge()
