"""`ttp.claim`: a handler of the user's own writes once, on SQLite and PostgreSQL, in transactions of its own."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

import ttp
from real_postgres import Postgres
from real_server import Server
from ttp.testing import drain

Connect = Callable[[], Any]
ORIGIN = "default.0.0123456789abcdef"


@dataclass
class Ids:
    """What `claim` asks of a batch."""

    spans: list[tuple[str, int, int]]

    def ranges(self) -> list[tuple[str, int, int]]:
        return self.spans


@pytest.fixture(params=["sqlite", "postgres"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connect]:
    """Opens connections of each kind to one empty database."""
    opened: list[Any] = []
    url = request.getfixturevalue("postgres").new_database() if request.param == "postgres" else None

    def connect() -> Any:
        path = tmp_path / "mine.db"
        opened.append(sqlite3.connect(path, check_same_thread=False) if url is None else psycopg.connect(url))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


def test_rows_are_claimed_once_and_only_if_the_transaction_is(connect: Connect) -> None:
    connection = connect()
    assert list(ttp.claim(connection, Ids([(ORIGIN, 0, 3), ("q.0.other", 7, 7)]))) == [0, 1, 2, 3, 4]
    connection.rollback()
    assert list(ttp.claim(connection, Ids([(ORIGIN, 0, 3)]))) == [0, 1, 2, 3]
    connection.commit()
    other = connect()
    other.row_factory = dict_row if isinstance(other, psycopg.Connection) else sqlite3.Row
    assert list(ttp.claim(other, Ids([("q.0.other", 6, 7), (ORIGIN, 2, 5)]))) == [0, 1, 4, 5]
    other.commit()
    context = ttp.TaskContext(f"{ORIGIN}.6", "work", 1, None)
    assert list(ttp.claim(connection, context)) == [0]
    assert list(ttp.claim(connection, context)) == []


def test_who_claims_the_same_task_meanwhile_waits_and_gets_nothing(connect: Connect) -> None:
    first, second = connect(), connect()
    ttp.claim(first, Ids([("q.0.before", 0, 0)]))  # the table is there
    first.commit()
    assert list(ttp.claim(first, Ids([(ORIGIN, 0, 9)]))) == [*range(10)]
    got: list[int] = []

    def claim_too() -> None:
        got.extend(ttp.claim(second, Ids([(ORIGIN, 5, 12)])))
        second.commit()

    waiting = threading.Thread(target=claim_too)
    waiting.start()
    first.commit()
    waiting.join()
    assert got == [5, 6, 7]


def test_a_connection_that_commits_by_itself_needs_a_transaction(postgres: Postgres) -> None:
    with psycopg.connect(postgres.new_database(), autocommit=True) as connection:
        with pytest.raises(ValueError, match=r"with connection\.transaction\(\)"):
            ttp.claim(connection, Ids([(ORIGIN, 0, 0)]))
        with connection.transaction():
            assert list(ttp.claim(connection, Ids([(ORIGIN, 0, 0)]))) == [0]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as memory:
        with memory:
            assert list(ttp.claim(memory, Ids([(ORIGIN, 0, 0)]))) == [0]
        assert not memory.in_transaction
    wrong: Any = object()
    with pytest.raises(TypeError, match="sqlite3 or psycopg 3, not object"):
        ttp.claim(wrong, Ids([(ORIGIN, 0, 0)]))


def test_a_snapshot_that_is_older_than_another_claim_is_refused(postgres: Postgres) -> None:
    url = postgres.new_database()
    with psycopg.connect(url) as first, psycopg.connect(url) as second:
        ttp.claim(first, Ids([("q.0.before", 0, 0)]))
        first.commit()
        second.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        second.execute("SELECT 1 FROM ttp.stored_tasks")  # its snapshot is taken
        ttp.claim(first, Ids([(ORIGIN, 0, 9)]))
        first.commit()
        with pytest.raises(psycopg.errors.SerializationFailure):
            ttp.claim(second, Ids([(ORIGIN, 5, 12)]))


WORKER = """
    import os, signal, sqlite3, sys, psycopg, ttp
    from dataclasses import dataclass
    from pathlib import Path

    @dataclass
    class Payment:
        account: str
        amount: int

    app = ttp.App("bank")
    connection = psycopg.connect(sys.argv[1]) if sys.argv[1].startswith("postgresql") else sqlite3.connect(sys.argv[1])
    mark = "%s" if isinstance(connection, psycopg.Connection) else "?"
    died = Path(sys.argv[2])

    def pay(payments):
        for payment in payments:
            connection.execute(f"UPDATE accounts SET total = total + {mark} WHERE name = {mark}",
                               (payment.amount, payment.account))
        connection.commit()
        if not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)  # paid, and the server does not know

    @app.batch(Payment, name="pay")
    def pay_all(batch):
        rows = batch.rows()
        pay([rows[row] for row in ttp.claim(connection, batch)])

    @app.task(name="pay_one", queue="single")
    def pay_one(account, amount):
        pay([Payment(account, amount)] if ttp.claim(connection, ttp.current_task()) else [])

    ttp.WorkerPool(app, queues=[sys.argv[3]]).run(burst=True)
"""


@pytest.mark.parametrize(("kind", "queue"), [("sqlite", "single"), ("postgres", "default")])
def test_a_handler_that_claims_writes_once_though_its_worker_is_killed(
    server: Server, tmp_path: Path, request: pytest.FixtureRequest, kind: str, queue: str
) -> None:
    place = str(tmp_path / "bank.db")
    if kind == "postgres":
        place = request.getfixturevalue("postgres").new_database()
    bank: Any = psycopg.connect(place) if kind == "postgres" else sqlite3.connect(place)
    with closing(bank):
        bank.execute("CREATE TABLE accounts (name TEXT PRIMARY KEY, total INTEGER NOT NULL)")
        bank.execute("INSERT INTO accounts VALUES ('a', 0)")
        bank.commit()
        with ttp.App("bank", server.url) as app:
            pay = app.remote("pay" if queue == "default" else "pay_one", queue=queue)
            for amount in range(1, 101):
                pay.emit("a", amount)
            app.flush()
            command = [sys.executable, "-c", textwrap.dedent(WORKER), place, str(tmp_path / "died"), queue]
            environment = os.environ | {"TTP_URL": server.url, "PYTHONPATH": os.pathsep.join(sys.path)}
            killed, finished = (subprocess.run(command, env=environment, check=False) for _ in range(2))
            assert (killed.returncode, finished.returncode) == (-signal.SIGKILL, 0)
            assert list(app.dead_letters(queue)) == []
            assert bank.execute("SELECT total FROM accounts").fetchone() == (5050,)


def test_a_batch_of_a_real_frame_is_claimed(server: Server, tmp_path: Path) -> None:
    @dataclass
    class Row:
        n: int

    claimed: list[int] = []
    with ttp.App("plant", server.url) as app, closing(sqlite3.connect(tmp_path / "t.db")) as connection:

        @app.batch(Row, name="store")
        def store(batch: ttp.Batch[Row]) -> None:
            with connection:
                rows = batch.rows()
                claimed.extend(rows[row].n for row in ttp.claim(connection, batch))
                assert not list(ttp.claim(connection, batch))

        for n in range(50):
            store.emit(n)
        drain(app)
    assert claimed == [*range(50)]
