"""Where each nanosecond of a task goes: every stage by itself, with the real parts and a real server.

`stages.py [FRAMES]`. One thread plays producer and worker in turn, so that a stage's CPU time is its own. Client
stages are CPU time of the thread, server stages what the server counts for the command (INFO commandstats); what
else its process used (reading, parsing, replying, AOF) stands apart. Beside the sum: what the three processes use
per task when they run side by side.
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import environment
import throughput
from harness import Bench
from tables import STAGES
from workload import app as workload_app
from workload import noop

from ttp.coordination import commands
from ttp.native import DEAD, FrameView, MemoryPool, Outbox, Route
from ttp.policy import Clock
from ttp.producer.producer import BLOCK_SIZE
from ttp.worker.draft import command, draft
from ttp.worker.job import Job

ROWS = 2_400  # tasks of a frame: nearly 64 KiB
FRAMES = 500
AT_ONCE = 8  # frames that a read brings at most


class Spent:
    """Nanoseconds of CPU time by stage."""

    def __init__(self) -> None:
        self.stages = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def on(self, stage: str) -> Iterator[None]:
        """What this thread uses in the block."""
        begun = time.thread_time_ns()
        yield
        self.stages[stage] += time.thread_time_ns() - begun


class ServerTime:
    """What the server has used, in nanoseconds."""

    def __init__(self, bench: Bench) -> None:
        self._redis = bench.redis
        self.process = bench.server

    def of(self, name: str) -> float:
        """In a command so far."""
        stats = self._redis.info("commandstats")
        return float(stats.get(f"cmdstat_{name}", {}).get("usec", 0)) * 1e3

    def all(self) -> float:
        """CPU time of its process."""
        times = self.process.cpu_times()
        return float(times.user + times.system) * 1e9


def produce(bench: Bench, frames: int, spent: Spent) -> None:
    """Encode, seal and send so many frames."""
    outbox = Outbox(
        MemoryPool(BLOCK_SIZE, 64), bytes(12), on_sealed=lambda: None, on_submit=lambda _: None, on_full=lambda: None
    )
    outbox.attended = True
    emit = Route(outbox, name="noop", queue="default", owner=None, min_args=3, max_args=3)
    connection = bench.app.open_connection(10.0)
    keys = bench.app.keys("default")
    connection.ensure_queue(keys)
    prev = None
    for _ in range(frames):
        begun = time.thread_time_ns()
        for _ in range(ROWS):
            pass
        loop = time.thread_time_ns() - begun
        with spent.on("encode"):
            for n in range(ROWS):
                emit("pump-1", n, 21.5)
        spent.stages["encode"] -= loop
        with spent.on("frame"):
            outbox.seal()
            frame = outbox.take()
            assert frame is not None
            assert len(frame) == ROWS
            data = frame.data()
        with spent.on("send"):
            offer = commands.submit(
                keys, priority=1, chain="bench", prev=prev, fid=frame.fid, due_ms=None, tasks=ROWS, limit=1 << 40,
                frame=data,
            )  # fmt: skip
            connection.send([offer])
            status, prev = commands.submit_reply(connection.read())
        assert status == "OK", status
        frame.release()
    connection.close()


def work(bench: Bench, frames: int, spent: Spent) -> None:
    """Read, run and commit them."""
    handler = workload_app.handlers["noop"]
    function = noop.__wrapped__
    keys = bench.app.keys("default")
    connection = bench.app.open_connection(10.0)
    connection.ensure_queue(keys)
    clock, rng = Clock(), Random(1)
    done = 0
    while done < frames:
        with spent.on("receive"):
            connection.send([commands.read_group("bench", [keys.stream(1)], count=AT_ONCE, block_ms=None)])
            entries = commands.entries(connection.read())
        for entry in entries:
            with spent.on("decode"):
                view = FrameView(entry.frame or b"")
                job = Job(entry, view, handler, keys, clock=clock, rng=rng, state=None)
                (part,) = job.cut_into(len(view))
                part.run(function, lambda _row, _error: DEAD)
            with spent.on("commit"):
                drafted = draft(job, now_ms=0)
                connection.send([command(job, drafted, consumer="bench", offset_ms=0)])
                status, _ = commands.commit_reply(connection.read())
            assert status == "OK", status
            assert drafted.done == len(view), drafted
            done += 1
    connection.close()


def calls(count: int) -> float:
    """Nanoseconds of a call of the handler by itself, loop not counted."""
    function = noop.__wrapped__
    begun = time.thread_time_ns()
    for _ in range(count):
        pass
    loop = time.thread_time_ns() - begun
    begun = time.thread_time_ns()
    for n in range(count):
        function("pump-1", n, 21.5)
    return (time.thread_time_ns() - begun - loop) / count


def measure(bench: Bench, frames: int = FRAMES) -> dict[str, Any]:
    """Nanoseconds per task: by stage, and of each process in a run of the whole."""
    produce(bench, 20, Spent())  # scripts loaded, memory touched
    work(bench, 20, Spent())
    bench.fresh()
    spent, server = Spent(), ServerTime(bench)
    tasks = frames * ROWS
    whole, scripts, reads = server.all(), server.of("evalsha"), server.of("xreadgroup")
    produce(bench, frames, spent)
    submitted = server.of("evalsha")
    work(bench, frames, spent)
    spent.stages["server: submit"] = submitted - scripts
    spent.stages["server: commit"] = server.of("evalsha") - submitted
    spent.stages["server: read"] = server.of("xreadgroup") - reads
    counted = sum(ns for stage, ns in spent.stages.items() if stage.startswith("server"))
    spent.stages["server: the rest"] = max(0.0, server.all() - whole - counted)
    stages = {stage: ns / tasks for stage, ns in spent.stages.items()}
    stages["call"] = calls(tasks)
    stages["decode"] = max(0.0, stages["decode"] - stages["call"])
    return {"tasks": tasks, "rows": ROWS, "by_stage": stages, "by_process": processes(bench, tasks, server)}


def processes(bench: Bench, tasks: int, server: ServerTime) -> dict[str, float]:
    """CPU nanoseconds per task of producer, server and worker in a run of the whole, and the time that passes."""
    used: dict[str, float] = {}
    rate = throughput.concurrent(bench, tasks, used=used, server=server.process)["rate"]
    return {name: seconds * 1e9 / tasks for name, seconds in used.items()} | {"elapsed": 1e9 / rate}


if __name__ == "__main__":
    with Bench() as bench:
        run = {
            "environment": environment.describe(bench.redis.info()),
            "stages": measure(bench, *map(int, sys.argv[1:])),
        }
    for stage, ns in run["stages"]["by_stage"].items():
        print(f"{STAGES[stage][0]:9} {stage:17} {ns:7.1f} ns  {STAGES[stage][1]}")
    print(json.dumps(run["stages"]["by_process"]))
