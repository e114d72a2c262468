"""Frames that workers died over: which deaths are charged to them."""

import pytest

import ttp
from ttp.coordination import commands
from ttp.coordination.commands import Placement
from ttp.native import encode_frame, encode_row

WORKER = "gone-1-0"


def died_with(app: ttp.App, frame: bytes, *, begun: bool) -> None:
    """A worker reads the frame and dies, having begun to run it or not."""
    keys, connection = app.keys("default"), app.open_connection(5.0)
    connection.ensure_queue(keys)
    submit = commands.submit(
        keys, priority=1, chain="c", prev=None, fid=7, due_ms=None, tasks=1, limit=1 << 30, frame=frame
    )
    assert commands.submit_reply(connection.call(*submit))[0] == "OK"
    connection.call(*commands.tick(keys, consumer=WORKER))
    read = commands.read_group(WORKER, [keys.stream(1)], count=1, block_ms=None)
    (entry,) = commands.entries(connection.call(*read))
    if begun:
        held = Placement(kind="held", frame=frame, fid=8, tasks=1, priority=1)
        size = len(frame) + keys.overhead
        commit = commands.commit(
            keys, source=entry.stream, entry_id=entry.id, consumer=WORKER, tasks=1, size=size, placements=[held]
        )
        assert commands.commit_reply(connection.call(*commit))[0] == "OK"
    connection.close()


@pytest.mark.parametrize("begun", [False, True], ids=["not-begun", "begun"])
def test_a_suspect_answers_for_deaths_over_itself_alone(app: ttp.App, begun: bool) -> None:
    ran: list[int] = []
    task = app.task(name="suspect")(ran.append)
    frame = encode_frame([encode_row([1])], name=task.name, queue="default", fid=7, producer=bytes(12), crashes=2)
    died_with(app, frame, begun=begun)
    ttp.WorkerPool(app, lease=0.1).run(burst=True)
    letters = [letter.reason for letter in app.dead_letters()]
    assert (ran, letters) == (([], ["WorkerLost: 3 workers died while it ran"]) if begun else ([1], []))
