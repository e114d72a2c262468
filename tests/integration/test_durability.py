"""Durability levels: what a server cannot give is an error, and what it gives is waited for."""

import signal
import socket
from collections.abc import Iterator
from typing import get_args

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server
from ttp.coordination import durability
from ttp.coordination.levels import Durability
from ttp.coordination.server_binary import ServerBinary

AOF = ("--appendonly", "yes", "--appendfsync")


def offers(server: Server) -> dict[str, str | None]:
    """Level → None, or why not."""
    connection = server.connect()
    try:
        found = durability.settings(connection)
        return {level: found.can_give(level) for level in get_args(Durability)}
    finally:
        connection.close()


def test_a_server_without_a_file_gives_memory_only(server: Server) -> None:
    assert [level for level, why in offers(server).items() if why is None] == ["memory"]
    levels: list[Durability] = ["everysec", "fsync", "replica"]
    for level in levels:
        with ttp.App("plant", server.url, durability=level) as app:
            with pytest.raises(ttp.ServerRefused, match=f"cannot give durability '{level}': it"):
                app.remote("any").submit(1)
            assert queue_stats(app).accepted == 0


@pytest.mark.parametrize("appendfsync", ["no", "everysec", "always"])
def test_what_a_file_gives(binary: ServerBinary, appendfsync: str) -> None:
    server = Server(binary, *AOF, appendfsync)
    try:
        server.start()
        connection = server.connect()
        waitaof = durability.settings(connection).waitaof
        connection.close()
        found = offers(server)
        assert (found["everysec"] is None) == (appendfsync != "no")
        assert (found["fsync"] is None) == (appendfsync == "always" or (appendfsync == "everysec" and waitaof))
        levels: list[Durability] = ["everysec", "fsync"]
        for level in levels:
            with ttp.App("plant", server.url, durability=level) as app:
                task = app.remote("any")
                before = queue_stats(app).accepted
                if found[level] is None:
                    for n in range(20):
                        task.submit(n)
                    task.submit_many([(n,) for n in range(20_000)])
                    assert queue_stats(app).accepted == before + 20_020
                else:
                    with pytest.raises(ttp.ServerRefused, match="appendfsync"):
                        task.submit(1)
                    assert queue_stats(app).accepted == before
    finally:
        server.remove()


def test_no_such_level(server: Server) -> None:
    with pytest.raises(ValueError, match="durability must be one of memory, everysec, fsync, replica"):
        ttp.App("plant", server.url, durability="disk")  # type: ignore[arg-type]


@pytest.fixture
def pair(binary: ServerBinary) -> Iterator[tuple[Server, Server]]:
    """A primary and its replica."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    primary = Server(binary, "--port", str(port), "--bind", "127.0.0.1", "--repl-diskless-sync-delay", "0")
    replica = Server(binary, "--replicaof", "127.0.0.1", str(port))
    try:
        primary.start()
        replica.start(wait=False)
        connection = primary.connect()
        while b"state=online" not in connection.call("INFO", "replication"):
            connection.call("WAIT", 1, 50)  # returns as soon as the replica is there
        connection.close()
        yield primary, replica
    finally:
        replica.remove()
        primary.remove()


def test_a_replica_is_waited_for(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    with ttp.App("plant", primary.url, durability="replica", submit_timeout=1.5) as app:
        task = app.remote("any")
        task.submit(0)
        task.submit_many([(n,) for n in range(10_000)])
        replica.signal(signal.SIGSTOP)
        try:
            with pytest.raises(ttp.ServerUnavailable, match="may still be accepted"):
                task.submit(1)
            task.emit(2)
            with pytest.raises(ttp.ServerUnavailable):
                app.flush(0.2)
        finally:
            replica.signal(signal.SIGCONT)
        app.flush(20)
        assert queue_stats(app).accepted == 10_003


def test_frames_that_a_lost_connection_wrote_are_waited_for_by_the_next(pair: tuple[Server, Server]) -> None:
    primary, replica = pair
    with ttp.App("plant", primary.url, durability="replica", submit_timeout=10.0) as app:
        task = app.remote("any")
        task.submit(0)
        replica.signal(signal.SIGSTOP)
        try:
            task.emit(1)
            with pytest.raises(ttp.ServerUnavailable):
                app.flush(0.2)
            connection = primary.connect()
            connection.call("CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal")
            connection.close()
            task.emit(2)
            with pytest.raises(ttp.ServerUnavailable):
                app.flush(1.5)
        finally:
            replica.signal(signal.SIGCONT)
        app.flush(20)
        assert queue_stats(app).accepted == 3
