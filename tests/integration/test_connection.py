"""One connection: URLs, names, replies, waiting, messages."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from real_server import Server
from ttp.coordination import commands
from ttp.coordination.connection import Backoff, Connection, ReplyError, Target
from ttp.coordination.keys import Keys, check_name
from ttp.errors import ServerUnavailable
from ttp.policy import Clock

pytestmark = pytest.mark.once

KEYS = Keys("plant", "q")


class TestTarget:
    @pytest.mark.parametrize(
        ("url", "target", "shown"),
        [
            ("redis://", Target(host="localhost"), "redis://localhost:6379/0"),
            ("redis://h:7/3", Target(host="h", port=7, db=3), "redis://h:7/3"),
            ("valkey://u:p%40ss@h", Target(host="h", username="u", password="p@ss"), "redis://h:6379/0"),
            ("rediss://:pw@[::1]:6", Target(host="::1", port=6, password="pw", tls=True), "rediss://[::1]:6/0"),
            (
                "rediss://h?ssl_ca_certs=/ca.pem",
                Target(host="h", tls=True, tls_files=(("ssl_ca_certs", "/ca.pem"),)),
                "rediss://h:6379/0",
            ),
            ("unix:///run/s?db=2", Target(path="/run/s", db=2), "unix:///run/s?db=2"),
            ("unix://u:pw@/run/s", Target(path="/run/s", username="u", password="pw"), "unix:///run/s"),
        ],
    )
    def test_urls(self, url: str, target: Target, shown: str) -> None:
        assert Target.parse(url) == target
        assert str(target) == shown
        assert not target.password or target.password not in repr(target)

    @pytest.mark.parametrize(
        "url",
        [
            *(
                "",
                "h:6379",
                "http://:secret@h",
                "redis://:secret@h:port",
                "redis://:secret@h/x",
                "redis://:secret@h?a=b",
            ),
            *("unix://", "unix://:secret@relative", "redis://:secret@h?db=x"),
        ],
    )
    def test_what_is_no_url_is_refused_without_showing_it(self, url: str) -> None:
        with pytest.raises(ValueError, match="server URL: ") as refused:
            Target.parse(url)
        assert "secret" not in str(refused.value)


def test_names() -> None:
    assert check_name("queue", "a-Z_0.9") == "a-Z_0.9"
    for name in ("", "a b", "ä", "x" * 65, "a:b", "{a}", "a\n"):
        with pytest.raises(ValueError, match="queue name"):
            check_name("queue", name)
        with pytest.raises(ValueError, match="app name"):
            Keys(name, "q")


def test_backoff_is_jittered_and_capped() -> None:
    backoff = Backoff(random.Random(1))
    ceilings = [0.05 * 2**n for n in range(5)] + [1.6, *[2.0] * 2000]
    waits = [backoff.next() for _ in ceilings]
    assert all(0 <= wait <= ceiling for wait, ceiling in zip(waits, ceilings, strict=True))
    assert max(waits) > 1.9
    backoff.reset()
    assert backoff.next() <= 0.05


class TestTalking:
    def test_the_server_is_known_after_the_handshake(self, server: Server, connection: Connection) -> None:
        assert connection.connected
        assert connection.server == str(server.binary)
        assert connection.call("CLIENT", "ID") == connection.client_id
        assert "worker-1" in (commands.client_names_reply(connection.call(*commands.client_names())) or ())

    def test_the_offset_is_the_servers_time_less_the_local(self, server: Server) -> None:
        clock = Clock()
        clock.offset = 1e6  # a test that moves its clock moves the scripts' clock too, not the server's
        connection = server.connect(clock=clock)
        seconds, micros = connection.call("TIME")
        local = time.time() + connection.offset_us / 1e6
        assert abs(local - (int(seconds) + int(micros) / 1e6)) < 0.5
        connection.close()

    def test_replies_come_in_order_whatever_happens_between(self, connection: Connection) -> None:
        connection.send([("ECHO", str(i)) for i in range(3)])
        assert connection.unanswered == 3
        assert connection.read() == b"0"
        connection.ensure_queue(KEYS)
        assert connection.call("ECHO", "other") == b"other"
        assert connection.unanswered == 2
        assert connection.readable()
        assert [connection.read(), connection.read()] == [b"1", b"2"]
        assert connection.unanswered == 0
        assert not connection.readable()

    def test_a_commands_own_error_is_a_value_and_the_rest_goes_on(self, connection: Connection) -> None:
        first, second = connection.call_many([("HGET", "x"), ("PING",)])
        assert isinstance(first, ReplyError)
        assert first.code == "ERR"
        assert second in (b"PONG", "PONG")
        with pytest.raises(ReplyError, match="wrong number"):
            connection.call("HGET", "x")
        assert connection.connected

    def test_frames_go_as_views_of_memory(self, connection: Connection) -> None:
        frame = os.urandom(1 << 20)
        connection.call("SET", "frame", memoryview(bytearray(frame)))
        assert connection.call("GET", "frame") == frame

    def test_wait_ends_by_reply_by_wake_up_and_by_time(self, server: Server, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        wake, waker = os.pipe()
        connection.send([commands.read_group("worker-1", KEYS.streams, 1, 0)])
        assert not connection.wait(0.0, wake)
        os.write(waker, b"x")
        assert not connection.wait(None, wake)
        os.read(wake, 1)
        other = server.connect()
        assert other.call(*commands.unblock(connection.client_id)) == 1
        assert connection.wait(None, wake)
        assert commands.entries(connection.read()) == []
        connection.send([commands.read_group("worker-1", KEYS.streams, 1, 0)])
        submit = commands.submit(
            KEYS, priority=0, chain="c", prev=None, fid=5, due_ms=None, tasks=1, limit=9**9, frame=b"f"
        )
        other.call(*submit)
        assert connection.wait(None)
        assert [entry.frame for entry in commands.entries(connection.read())] == [b"f"]
        for end in (wake, waker):
            os.close(end)
        other.close()

    def test_messages(self, server: Server, connection: Connection) -> None:
        listener = server.connect()
        listener.subscribe("news")
        assert listener.read_message(0.0) is None
        for text in ("one", "two"):
            connection.call("PUBLISH", "news", text)
        assert [listener.read_message(5), listener.read_message(5)] == [b"one", b"two"]
        server.stop(signal.SIGKILL)
        with pytest.raises(ServerUnavailable):
            listener.read_message(5)
        assert not listener.connected

    def test_a_forked_child_leaves_the_parents_connection_alone(self, connection: Connection) -> None:
        child = os.fork()
        if child == 0:
            connection.close()
            os._exit(0)
        os.waitpid(child, 0)
        assert connection.call("ECHO", "still here") == b"still here"

    def test_redis_is_imported_with_the_first_connection_only(self) -> None:
        code = "import sys, ttp.coordination.connection; sys.exit('redis' in sys.modules)"
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
