"""The modelled server answers every command of random histories as the real servers do, byte for byte."""

from typing import Any

import pytest

from protocol_model import Model
from real_server import Server
from ttp.coordination.commands import Command
from ttp.coordination.scripts import BEATS

pytest.importorskip("lupa", reason="lupa runs the scripts of the modelled server")
from simulation.model_server import ModelServer

pytestmark = pytest.mark.once


class Shadow(ModelServer):
    """A modelled server beside a real one."""

    def check(self, command: Command, reply: Any) -> None:
        mine = self.execute(command)
        assert comparable(command, mine) == comparable(command, reply), command


def comparable(command: Command, reply: Any) -> Any:
    """A reply without what no client looks at: the protocol's version, the order of a hash, idle times."""
    if command[0] == "XREADGROUP" and isinstance(reply, dict):
        return [[name, entries] for name, entries in reply.items()]
    if command[0] == "HGETALL" or command[1] == BEATS.sha:
        found = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        return sorted(found.items())
    if command[0] == "XPENDING":
        return [[entry, consumer, deliveries] for entry, consumer, _, deliveries in reply]
    return reply


@pytest.mark.parametrize(("clones", "rollback"), [(True, False), (False, True)], ids=["clones", "rollbacks"])
def test_it_answers_as_the_real_one_does(server: Server, clones: bool, rollback: bool) -> None:
    connection = server.connect()
    seconds, micros = connection.call("TIME")
    connection.close()
    shadow = Shadow(lambda: int(seconds) * 1_000_000 + int(micros))
    model = Model(server, seed=1, clones=clones, rollback=rollback, shadow=shadow)
    shadow.ensure_queue(model.keys)
    assert model.run(4000).sound
    expected = {"OK", "NO", "FULL", "commit OK", "commit FENCED", "committed out of memory", "bury OK", "bury GONE"}
    assert expected | ({"rollback"} if rollback else {"new chain"}) <= model.stats.keys()
