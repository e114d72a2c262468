"""Faults of what is sent: tasks over the limit, frames that are damaged, frames of other versions."""

import secrets

from ttp.chaos.report import Report
from ttp.chaos.run import Run
from ttp.coordination import commands
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import SerializationError
from ttp.native import crc32c, pack

TASK_LIMIT = 128 * 1024  # bytes of one task's arguments
REQUIRED, OPTIONAL = 6, 7  # bytes of a frame's header: flags that must be known, and flags that need not


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
    with Run("corrupt", binary, tasks=tasks, seed=seed, count=count) as run:
        model = _frames(run, 1)[0]
        feeder = run.feed()
        for _ in range(count):
            place = run.rng.randrange(len(model))
            flipped = bytes([model[place] ^ 1 << run.rng.randrange(8)])
            run.report.injected += _submit(run, model[:place] + flipped + model[place + 1 :])
        feeder.finish()
        return run.judge(dead=run.report.injected, strange=True)


def version_skew(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """Frames of a later version: an unknown optional flag is passed over, an unknown required one is a dead letter."""
    with Run("version-skew", binary, tasks=tasks, seed=seed, count=count) as run:
        frames = _frames(run, count)
        feeder = run.feed()
        refused = 0
        for number, frame in enumerate(frames):
            required = number % 2 == 1
            newer = bytearray(frame)
            newer[REQUIRED if required else OPTIONAL] |= 0x40
            newer[-4:] = crc32c(bytes(newer[:-4])).to_bytes(4, "little")
            run.report.injected += _submit(run, bytes(newer))
            refused += required
            if not required:
                run.ledger.write("tried", number, number + 1)
                run.ledger.write("accepted", number, number + 1)
        feeder.finish()
        return run.judge(dead=refused, strange=True)


def _frames(run: Run, count: int) -> list[bytes]:
    """Good frames of one task each, numbered from 0; the producer's own tasks follow."""
    app, aside = run.app, "aside"
    task = app.remote("work", queue=aside)
    for number in range(count):
        task.emit(number)
        app.flush(5.0)
    run.next_number = count
    entries = run.look.call("XRANGE", app.keys(aside).stream(1), "-", "+")
    return [dict(zip(fields[::2], fields[1::2], strict=True))[b"f"] for _, fields in entries]


def _submit(run: Run, frame: bytes) -> bool:
    """Offer a frame of one task as a producer of its own; whether it is accepted."""
    fid = secrets.randbits(63) + 1
    say = commands.submit(
        run.keys, priority=1, chain=f"{fid:x}", prev=None, fid=fid, due_ms=None, tasks=1, limit=1 << 30, frame=frame
    )
    return commands.submit_reply(run.look.call(*say))[0] == "OK"
