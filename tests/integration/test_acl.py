"""The users of docs/security.md, word for word: each can do its work and nothing else."""

import re
from pathlib import Path

import pytest

import ttp
from real_server import Server
from ttp import testing
from ttp.cli import server as cli
from ttp.coordination import discovery
from ttp.coordination.connection import Connection, Target
from ttp.coordination.keys import Keys
from ttp.coordination.preflight import Role
from ttp.errors import ServerRefused

pytestmark = pytest.mark.once

DOCS = Path(__file__).parents[2] / "docs" / "security.md"
KEY = "ttp:{plant.0}:default:"
WORDS = {"~": KEY + "s1.1", "other": "ttp:{mine.0}:default:c"}

# What must be refused: to all, and to one of them.
NOBODY = [
    *("FLUSHALL", "FLUSHDB", "SHUTDOWN", "KEYS *", "EVAL x 0", "FUNCTION LIST", "CONFIG GET *", "CONFIG SET a b"),
    *("ACL LIST", "ACL WHOAMI", "INFO", "MONITOR", "SCRIPT FLUSH", "CLIENT KILL ID 1", "SAVE"),
    *("MIGRATE h 1 k 0 1", "REPLICAOF NO ONE", "SWAPDB 0 1", "DEL ~", "UNLINK ~", "RENAME ~ ~x", "XTRIM ~ MAXLEN 0"),
    *("COPY ~ ~x", "DUMP ~", "RESTORE ~ 0 x", "XGROUP DESTROY ~ g", "XGROUP SETID ~ g 0", "HGETALL other"),
]
ONLY = {
    "producer": ["XRANGE ~ - +", "XREAD STREAMS ~ 0", "XREADGROUP GROUP g c STREAMS ~ >", "XACK ~ g 1-1", "XDEL ~ 1-1",
                 "XCLAIM ~ g c 0 1-1", "XPENDING ~ g", "PUBLISH ttp:{plant.0}:n:0 x", "SCAN 0", "CLIENT LIST",
                 "HDEL ~ f", "ZREM ~ m", "XADD other * f v"],
    "worker": ["XADD other * f v", "PUBLISH other x", "CONFIG GET maxmemory-policy", "XREAD STREAMS ~ 0"],
    "observer": ["XADD ~ * f v", "HSET ~ f v", "SET ~ v", "GET ~", "XRANGE ~ - +", "XREADGROUP GROUP g c STREAMS ~ >",
                 "XACK ~ g 1-1", "SUBSCRIBE ttp:{plant.0}:n:0", "PUBLISH ttp:{plant.0}:n:0 x", "HGET ~ f", "ZADD ~ 1 m",
                 "HGETALL ttp:{plant.0}:default:dp", "HGETALL ttp:{plant.0}:default:R:0"],
}  # fmt: skip


@pytest.fixture
def users(connection: Connection) -> dict[str, str]:
    """Name and rules of each user, as documented, made on the server."""
    lines = re.findall(r"^ACL SETUSER (\w+) (.*)$", DOCS.read_text(), re.MULTILINE)
    for name, rules in lines:
        connection.call("ACL", "SETUSER", name, *rules.replace("PASSWORD", "secret").split())
    return dict(lines)


def as_user(server: Server, name: str) -> Target:
    return Target(path=str(server.socket), username=name, password="secret")


def test_each_does_its_work(server: Server, users: dict[str, str]) -> None:
    def url(name: str) -> str:
        return f"unix://{name}:secret@{server.socket}"

    with ttp.App("plant", url("worker")) as app, ttp.App("plant", url("producer")) as producer:

        @app.task(name="child")
        def child(number: int) -> int:
            return number

        @app.task(name="parent", retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.001))
        def parent(number: int) -> int:
            if ttp.current_task().attempt == 1:
                raise ValueError("once more")
            if number < 0:
                raise ttp.Reject("negative")
            child.submit(number)
            return number + 1

        sender = producer.remote("parent")
        late = sender.options(delay=3600.0).submit(1)
        assert late.cancel()
        with testing.worker(app):
            assert [handle.result(10) for handle in sender.submit_many([(1,), (2,)])] == [2, 3]
            with pytest.raises(ttp.TaskFailed, match="negative"):
                sender.submit(-1).result(10)
        (letter,) = app.dead_letters()
        letter.retry()
        sender.emit(4)
        producer.flush()
        testing.drain(app)
        (letter,) = app.dead_letters()
        letter.drop()

        observer = server.connect(as_user(server, "observer"))
        try:
            (keys,) = discovery.find_queues(observer)
            report = cli.queue_report(observer, keys)
            assert (report["done"], report["delayed_frames"]) == (6, 1)
            assert {worker.connected for worker in discovery.workers(observer, [keys])} == {False}  # they have ended
        finally:
            observer.close()


@pytest.mark.parametrize("name", ["producer", "worker", "observer"])
def test_nothing_else(server: Server, users: dict[str, str], name: str) -> None:
    connection = server.connect(as_user(server, name))
    try:
        allowed = []
        for line in [*NOBODY, *ONLY[name]]:
            words = [word.replace("~", WORDS["~"]) if word != "other" else WORDS["other"] for word in line.split()]
            (reply,) = connection.call_many([tuple(words)])
            if getattr(reply, "code", "") != "NOPERM" and "unknown command" not in str(reply):  # 6.2 has no functions
                allowed.append((line, reply))
        assert not allowed
    finally:
        connection.close()


def test_who_may_not_work_is_told(server: Server, users: dict[str, str], connection: Connection) -> None:
    keys = Keys("plant", "default")
    connection.ensure_queue(keys)
    attempts: list[tuple[str, Role]] = [("producer", "worker"), ("observer", "producer"), ("observer", "worker")]
    for name, role in attempts:
        stranger = server.connect(as_user(server, name))
        try:
            with pytest.raises(ServerRefused, match=r"(?i)permi"):
                stranger.ensure_queue(keys, role)
        finally:
            stranger.close()
