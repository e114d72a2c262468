"""What a connection survives, what it refuses, and in which words."""

import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
from pathlib import Path

import pytest

import ttp
from real_server import Server
from ttp.coordination import commands
from ttp.coordination.commands import Placement, Results
from ttp.coordination.connection import Connection, ReplyError, Target
from ttp.coordination.keys import Keys
from ttp.coordination.server_binary import ServerBinary
from ttp.errors import ServerRefused, ServerUnavailable

pytestmark = pytest.mark.once

KEYS = Keys("plant", "q")


@pytest.fixture
def user(server: Server, connection: Connection) -> Target:
    """A user who may do everything, at first."""
    connection.call("ACL", "SETUSER", "user", "reset", "on", ">secret", "~*", "&*", "+@all")
    return Target(path=str(server.socket), username="user", password="secret")


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
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            assert struct.unpack("ll", connection._sock.getsockopt(socket.SOL_SOCKET, option, 16)) == (10, 0)
        connection.close()

    def test_a_server_that_stands_still(self, server: Server, connection: Connection) -> None:
        """Between a reply's bytes, and while it takes no more: a socket's time is up."""
        soon = struct.pack("ll", 0, 20_000)
        server.signal(signal.SIGSTOP)
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, soon)
        connection.send([("PING",)])
        with pytest.raises(ServerUnavailable, match="no reply within"):
            connection.read()
        assert not connection.connected
        server.signal(signal.SIGCONT)
        connection.connect()
        server.signal(signal.SIGSTOP)
        connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, soon)
        with pytest.raises(ServerUnavailable, match="takes nothing more"):
            connection.send([("ECHO", bytes(64_000_000))])
        assert not connection.connected
        server.signal(signal.SIGCONT)

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
            connection.call_many([("SET", f"key{i}", os.urandom(50_000)) for i in range(200)])
            connection.call("SAVE")
            connection.close()
            server.stop()
            server.start("--key-load-delay", "3000", wait=False)  # it answers once in two megabytes
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
        other.call("CONFIG", "SET", "lua-time-limit", "1")
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


def test_a_submit_that_is_interrupted_leaves_no_reply_to_be_awaited(server: Server) -> None:
    """Ctrl-C once the reply is read: what the queue then refuses is tried again all the same."""
    # Without a resend window, since the flusher, which watches over one, reads too.
    with ttp.App("plant", server.url, queue_tasks=2, resend_seconds=0) as app:
        work = app.task(name="work")(len)
        work.submit("1")
        connection = app._producer._link.connection
        assert connection is not None
        read, here = connection.read, threading.current_thread()

        def interrupted(timeout: float | None) -> object:
            reply = read(timeout)
            if threading.current_thread() is here:
                raise KeyboardInterrupt
            return reply

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection, "read", interrupted)
            with pytest.raises(KeyboardInterrupt):
                work.submit("2")
        work.emit("3")
        with pytest.raises(ttp.QueueFull):
            app.flush(0.2)
        ttp.WorkerPool(app).run(burst=True)
        app.flush(20)
        assert app.sending.accepted == 3
