"""One connection: what it refuses, what it survives, and in which words."""

import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from real_server import Server

from ttp.coordination import commands
from ttp.coordination.commands import Placement, Results
from ttp.coordination.connection import Backoff, Connection, ReplyError, Target
from ttp.coordination.keys import Keys, check_name
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import ServerRefused, ServerUnavailable
from ttp.policy import Clock

KEYS = Keys("plant", "q")


@pytest.fixture
def user(server: Server, connection: Connection) -> Target:
    """A user who may do everything, at first."""
    connection.call("ACL", "SETUSER", "user", "reset", "on", ">secret", "~*", "&*", "+@all")
    return Target(path=str(server.socket), username="user", password="secret")


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


class TestFaults:
    def test_no_server(self, tmp_path: os.PathLike[str]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        for url in (f"unix://{tmp_path}/nobody", f"redis://:secret@127.0.0.1:{port}"):
            connection = Connection(Target.parse(url), connect_timeout=5)
            with pytest.raises(ServerUnavailable, match=r"0: Connection refused$|nobody: No such file") as refused:
                connection.connect()
            assert not isinstance(refused.value, ServerRefused)
            assert "secret" not in str(refused.value)
            assert not connection.connected
            with pytest.raises(ServerUnavailable, match="not connected"):
                connection.call("PING")

    def test_nobody_answers(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            target = Target(host="127.0.0.1", port=silent.getsockname()[1])
            with pytest.raises(ServerUnavailable, match=r"[Tt]imeout"):
                Connection(target, connect_timeout=0.05).connect()

    def test_a_server_that_hangs(self, server: Server, connection: Connection) -> None:
        server.signal(signal.SIGSTOP)
        with pytest.raises(ServerUnavailable, match=r"within 0\.05 s"):
            connection.call("PING", timeout=0.05)
        assert (connection.connected, connection.unanswered) == (False, 0)
        with pytest.raises(ServerUnavailable, match=r"[Tt]imeout"):
            server.connect(connect_timeout=0.05)
        server.signal(signal.SIGCONT)
        connection.connect()
        assert connection.call("ECHO", "again") == b"again"

    def test_a_short_time_to_connect_is_not_the_time_to_read(self, server: Server) -> None:
        connection = server.connect(connect_timeout=0.5)
        sock = connection._raw._get_socket()
        assert sock.gettimeout() > 1
        connection.close()

    def test_a_server_that_dies_under_a_blocked_read(self, server: Server, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        connection.send([commands.read_group("worker-1", KEYS.streams, 1, 0)])
        killer = threading.Timer(0.02, server.stop, [signal.SIGKILL])
        killer.start()
        with pytest.raises(ServerUnavailable):
            connection.read()
        killer.join()
        assert not connection.connected

    def test_scripts_are_loaded_again(self, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        connection.call("SCRIPT", "FLUSH")
        with pytest.raises(ServerUnavailable, match="lost the scripts"):
            connection.call(*commands.tick(KEYS, consumer="worker-1"))
        assert not connection.connected
        connection.connect()
        assert commands.tick_reply(connection.call(*commands.tick(KEYS, consumer="worker-1"))) == (1, None)

    def test_groups_are_made_again(self, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        connection.call("FLUSHALL")
        with pytest.raises(ServerUnavailable, match="lost the queue"):
            connection.call(*commands.read_group("worker-1", KEYS.streams, 1, None))
        connection.connect()
        connection.ensure_queue(KEYS)
        assert commands.entries(connection.call(*commands.read_group("worker-1", KEYS.streams, 1, None))) == []

    def test_a_server_that_loads_its_data(self, binary: ServerBinary) -> None:
        server = Server(binary)
        try:
            server.start()
            connection = server.connect()
            connection.call_many([("SET", f"key{i}", "x" * 100) for i in range(200)])
            connection.call("SAVE")
            connection.close()
            server.stop()
            server.start("--key-load-delay", "3000", "--loading-process-events-interval-bytes", "1024", wait=False)
            said: list[str] = []
            while not said or "loading" in said[-1] or "no connection" in said[-1]:
                try:
                    server.connect().close()
                except ServerRefused:
                    raise
                except ServerUnavailable as error:
                    said.append(str(error))
                else:
                    break
                select.select([], [], [], 0.002)
            assert any("it is loading its data" in words for words in said), said
        finally:
            server.remove()

    def test_a_read_only_replica(self, server: Server, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        root = server.connect()
        root.call("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(ServerUnavailable, match="read-only replica"):
            connection.call(*commands.tick(KEYS, consumer="worker-1"))
        assert not connection.connected
        with pytest.raises(ServerUnavailable, match="read-only replica"):
            connection.connect()
        root.call("REPLICAOF", "NO", "ONE")
        connection.connect()
        root.close()

    def test_a_replica_without_its_primary(self, server: Server, connection: Connection) -> None:
        connection.call("CONFIG", "SET", "replica-serve-stale-data", "no")
        connection.call("REPLICAOF", "127.0.0.1", "1")
        with pytest.raises(ServerUnavailable):
            connection.call("GET", "x")
        assert not connection.connected

    @pytest.mark.parametrize("event", [("FLUSHALL",), ("REPLICAOF", "127.0.0.1", "1")], ids=["flushed", "demoted"])
    def test_a_blocked_read_that_cannot_end(
        self, server: Server, connection: Connection, event: tuple[str, ...]
    ) -> None:
        connection.ensure_queue(KEYS)
        root = server.connect()
        connection.send([commands.read_group("worker-1", KEYS.streams, 1, 0)])
        while b"cmd=xreadgroup" not in root.call("CLIENT", "LIST"):
            pass
        root.call(*event)
        with pytest.raises(ServerUnavailable) as unavailable:
            connection.read()
        assert not isinstance(unavailable.value, ServerRefused)
        assert not connection.connected
        root.close()

    def test_a_cluster(self, binary: ServerBinary) -> None:
        """One node of a cluster: before its slots are assigned, and after. All keys of a script lie in one slot."""
        if binary.version < (7, 0):
            pytest.skip("6.2 assigns slots, and ports, in other ways")
        with socket.create_server(("127.0.0.1", 0)) as free, socket.create_server(("127.0.0.1", 0)) as bus:
            ports = (free.getsockname()[1], bus.getsockname()[1])
        settings = ("--cluster-enabled", "yes", "--bind", "127.0.0.1", "--cluster-port", str(ports[1]))
        server = Server(binary, *settings, "--port", str(ports[0]))
        try:
            server.start()
            connection = server.connect()
            with pytest.raises(ServerUnavailable, match="cluster is down") as unavailable:
                connection.ensure_queue(KEYS)
            assert not isinstance(unavailable.value, ServerRefused)
            connection.connect()
            connection.call("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            while b"cluster_state:ok" not in connection.call("CLUSTER", "INFO"):
                pass
            connection.ensure_queue(KEYS)
            connection.ensure_queue(KEYS.sibling("other"))
            submit = commands.submit(
                KEYS, priority=0, chain="c", prev=None, fid=5, due_ms=None, tasks=1, limit=9**9, frame=b"f"
            )
            assert commands.submit_reply(connection.call(*submit)) == ("OK", 5)
            fetch = commands.read_group("worker-1", KEYS.streams, 1, None)
            (entry,) = commands.entries(connection.call(*fetch))
            commit = commands.commit(
                KEYS,
                source=entry.stream,
                entry_id=entry.id,
                consumer="worker-1",
                tasks=1,
                size=1,
                placements=[Placement("ready", b"f", 6, 1, 1, queue="other"), Placement("held", b"f", 7, 1, 1)],
                results=Results(5, bytes(12), 1000, b"blocks"),
            )
            assert commands.commit_reply(connection.call(*commit))[0] == "OK"
            assert commands.tick_reply(connection.call(*commands.tick(KEYS, consumer="worker-1")))[0] == 1
            connection.close()
        finally:
            server.remove()

    def test_tls(self, binary: ServerBinary, tmp_path: Path) -> None:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl here to make a certificate")
        make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
        make += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out cert.pem"
        subprocess.run(make.split(), cwd=tmp_path, check=True, capture_output=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        server = Server(
            binary,
            *("--tls-port", str(port), "--tls-cert-file", str(tmp_path / "cert.pem")),
            *("--tls-key-file", str(tmp_path / "key.pem"), "--tls-auth-clients", "no"),
        )
        try:
            try:
                server.start()
            except ServerUnavailable:
                pytest.skip(f"{binary} is built without TLS")
            trusting = Target.parse(f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/cert.pem")
            connection = server.connect(trusting)
            assert connection.call("ECHO", "hush") == b"hush"
            connection.close()
            with pytest.raises(ServerUnavailable, match=r"(?i)certificate"):
                server.connect(Target.parse(f"rediss://127.0.0.1:{port}"))
        finally:
            server.remove()

    def test_a_busy_server(self, server: Server, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        other = server.connect()
        other.call("CONFIG", "SET", "busy-reply-threshold", "1")
        other.send([("EVAL", "while true do end", 0)])

        def tick_for_ever() -> None:
            while True:
                connection.call(*commands.tick(KEYS, consumer="worker-1"))

        with pytest.raises(ServerUnavailable, match="long script"):
            tick_for_ever()
        killer = Connection(server.target)
        with pytest.raises(ServerUnavailable):
            killer.connect()  # nothing is served before the script is killed, which needs no handshake
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(server.socket))
            raw.sendall(b"SCRIPT KILL\r\n")
            assert raw.recv(100) == b"+OK\r\n"
        assert isinstance(other.read(), ReplyError)
        other.close()
        connection.connect()


class TestRefusals:
    def test_wrong_password(self, server: Server, user: Target) -> None:
        wrong = Target(path=user.path, username="user", password="wr0ng")
        with pytest.raises(ServerRefused, match="refuses the user name or password") as refused:
            server.connect(wrong)
        assert "wr0ng" not in str(refused.value)

    def test_no_password(self, server: Server, connection: Connection) -> None:
        connection.call("CONFIG", "SET", "requirepass", "secret")
        with pytest.raises(ServerRefused, match="the URL has none"):
            server.connect()
        server.connect(Target(path=str(server.socket), password="secret")).close()

    @pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
    def test_eviction(self, server: Server, connection: Connection, user: Target, policy: str) -> None:
        connection.call("CONFIG", "SET", "maxmemory-policy", policy)
        with pytest.raises(ServerRefused, match=f"maxmemory-policy {policy}.*noeviction"):
            server.connect()
        for denied in ("-info", "-config"):
            connection.call("ACL", "SETUSER", "user", "+@all", denied)
            with pytest.raises(ServerRefused, match=policy):
                server.connect(user)
        connection.call("ACL", "SETUSER", "user", "-info", "-config")
        server.connect(user).close()

    @pytest.mark.parametrize("command", ["XAUTOCLAIM", "HELLO"])
    def test_too_old(self, binary: ServerBinary, command: str) -> None:
        server = Server(binary, "--rename-command", command, "")
        try:
            with pytest.raises(ServerRefused, match=r"too old.*6\.2"):
                server.start()
        finally:
            server.remove()

    @pytest.mark.parametrize(
        "denied",
        [
            *("evalsha", "script", "xack", "xdel", "xadd", "hset", "hincrby", "hdel", "hget", "zadd", "zrem", "xclaim"),
            *(
                "xreadgroup",
                "xpending",
                "xgroup",
                "pexpire",
                "pttl",
                "publish",
                "zrangebyscore",
                "zrange",
                "set",
                "get",
            ),
            *("time", "exists", "xrange", "xlen", "hgetall", "hlen", "hkeys"),
        ],
    )
    def test_a_missing_permission(self, server: Server, connection: Connection, user: Target, denied: str) -> None:
        connection.call("ACL", "SETUSER", "user", f"-{denied}")
        with pytest.raises(ServerRefused, match=r"(?i)permi"):
            server.connect(user).ensure_queue(KEYS)

    def test_missing_keys_and_channels(self, server: Server, connection: Connection, user: Target) -> None:
        connection.call("ACL", "SETUSER", "user", "resetkeys", "~ttp:{plant.0}:*", "resetchannels", "&ttp:*")
        server.connect(user).ensure_queue(KEYS)
        with pytest.raises(ServerRefused, match=r"(?i)no permissions"):
            server.connect(user).ensure_queue(Keys("other", "q"))
        connection.call("ACL", "SETUSER", "user", "resetchannels")
        with pytest.raises(ServerRefused, match="does not permit PUBLISH"):
            server.connect(user).ensure_queue(KEYS)

    def test_a_queue_is_left_as_it_was(self, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        found = connection.call("KEYS", "*")
        assert sorted(found) == sorted(name.encode() for name in (*KEYS.streams, KEYS.held))
        assert all(connection.call("XLEN", key) == 0 for key in found)

    def test_somebody_elses_key(self, connection: Connection) -> None:
        connection.call("SET", KEYS.delayed_frames, "mine")
        with pytest.raises(ServerRefused, match="is a string, not a hash"):
            connection.ensure_queue(KEYS)

    def test_workers_get_in_while_the_server_is_out_of_memory(self, server: Server, connection: Connection) -> None:
        connection.ensure_queue(KEYS)
        connection.call("CONFIG", "SET", "maxmemory", "1")
        other = server.connect()
        other.ensure_queue(KEYS)
        with pytest.raises(ServerUnavailable, match="OOM") as refused:
            other.ensure_queue(Keys("plant", "new"))
        assert not isinstance(refused.value, ServerRefused)
        other.close()
