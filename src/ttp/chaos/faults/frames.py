"""Faults of what is sent: tasks over the limit, frames that are damaged, frames of other versions."""

import secrets
from collections.abc import Callable

from ttp.chaos.report import Report
from ttp.chaos.run import Run
from ttp.coordination import commands
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import SerializationError
from ttp.native import FrameView, pack

TASK_LIMIT = 128 * 1024  # bytes of one task's arguments


def oversize(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """Tasks at the limit and beyond it: what is over is refused at the call, and nothing of it is sent."""
    with Run("oversize", binary, tasks=tasks, seed=seed, count=count) as run:
        feeder = run.feed()
        for _ in range(count):
            over = run.rng.choice([1, 2, 1000, TASK_LIMIT])
            overhead = len(pack([0, b"x" * 100_000])) - 100_000
            try:
                run.work.emit(0, b"x" * (TASK_LIMIT - overhead + over))
            except SerializationError:
                run.report.injected += 1
            else:
                run.report.problems.append(f"a task of {TASK_LIMIT + over} bytes was taken")
        feeder.finish()
        return run.judge()


def corrupt(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """Frames with a flipped bit, sent as good ones are: each becomes a dead letter, and harms no other."""

    def damage(run: Run, frame: bytes) -> bytes:
        place = run.rng.randrange(len(frame))
        return frame[:place] + bytes([frame[place] ^ 1 << run.rng.randrange(8)]) + frame[place + 1 :]

    return _strange("corrupt", binary, tasks, seed, count, damage)


def _strange(
    fault: str, binary: ServerBinary, tasks: int, seed: int, count: int, change: Callable[[Run, bytes], bytes]
) -> Report:
    """Frames that no worker can read, between good ones."""
    with Run(fault, binary, tasks=tasks, seed=seed, count=count) as run:
        model = _a_frame(run)
        feeder = run.feed()
        for _ in range(count):
            fid = secrets.randbits(63) + 1
            say = commands.submit(
                run.keys,
                priority=1,
                chain=f"{fid:x}",
                prev=None,
                fid=fid,
                due_ms=None,
                tasks=len(FrameView(model)),
                limit=1 << 30,
                frame=change(run, model),
            )
            status, _ = commands.submit_reply(run.look.call(*say))
            run.report.injected += status == "OK"
        feeder.finish()
        return run.judge(dead=run.report.injected, strange=True)


def _a_frame(run: Run) -> bytes:
    """The bytes of a good frame of one task."""
    source = run.app.remote("work", queue="ledger-of-none")
    source.emit(0)
    run.app.flush(5.0)
    ((_, fields),) = run.look.call("XRANGE", run.app.keys("ledger-of-none").stream(1), "-", "+")
    return bytes(dict(zip(fields[::2], fields[1::2], strict=True))[b"f"])
