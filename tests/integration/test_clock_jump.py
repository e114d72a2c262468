"""The server's clock jumps by days while a reply is lost: what the server had accepted is not accepted again."""

import time
from pathlib import Path

import pytest

from ttp.chaos.server import NotInjected, Server
from ttp.chaos.wrong_clock import WrongClock
from ttp.coordination import commands
from ttp.coordination.keys import Keys
from ttp.coordination.server_binary import ServerBinary

DAY = 86_400
FRAME = bytes(64)


def test_a_lost_reply_and_a_clock_that_jumps(tmp_path: Path, binary: ServerBinary) -> None:
    try:
        clock = WrongClock(tmp_path)
    except NotInjected as error:
        pytest.skip(str(error))
    server = Server(binary, tmp_path / "server", environment=clock.environment)
    try:
        server.start()
        connection, keys = server.connect(), Keys("plant", "q")
        connection.ensure_queue(keys, "producer")

        def submit() -> tuple[str, int | None]:
            command = commands.submit(
                keys, priority=1, chain="c", prev=None, fid=7, due_ms=None, tasks=1, limit=1000, frame=FRAME
            )
            return commands.submit_reply(connection.call(*command))

        def jump(seconds: int) -> None:
            before = int(connection.call("TIME")[0])
            clock.set(seconds)
            deadline = time.monotonic() + 20
            while abs(int(connection.call("TIME")[0]) - before) < DAY / 2:
                assert time.monotonic() < deadline, "the server does not see its clock"

        jump(-DAY)
        assert submit() == ("OK", 7)  # and the reply is lost
        jump(DAY)
        assert submit() == ("NO", 7)
        assert connection.call("XLEN", keys.stream(1)) == 1
        connection.close()
    finally:
        server.kill()
