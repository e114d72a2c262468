"""Columns from arrays to a batch handler, through a real server and a real worker."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

import ttp
from ttp import testing

np = pytest.importorskip("numpy", reason="columns need NumPy")

NO_RETRY = ttp.RetryPolicy(max_attempts=1)


@dataclass
class Reading:
    device: str
    at: datetime
    value: float
    note: str | None = None


def readings(count: int) -> dict[str, Any]:
    """Columns of so many events."""
    return {
        "device": np.array(["pump-1", "pump-2"])[np.arange(count) % 2],
        "at": np.datetime64("2026-01-01", "us") + np.arange(count),
        "value": np.arange(count, dtype=float),
    }


def test_columns_arrive_as_they_were_sent(app: ttp.App) -> None:
    count = 100_000
    got: list[ttp.Batch[Reading]] = []

    @app.batch(Reading, max_events=10_000)
    def store(batch: ttp.Batch[Reading]) -> None:
        got.append(batch)

    sent = readings(count)
    store.submit_columns(**sent)
    testing.drain(app)
    assert max(map(len, got)) <= 10_000
    got.sort(key=lambda batch: batch["at"][0])  # on a slow machine frames behind a slow one go back, and come later
    for name, column in sent.items():
        assert np.array_equal(np.concatenate([batch[name] for batch in got]), column)
    assert all(batch.mask("note").all() for batch in got)
    assert len({batch.task_id(row) for batch in got for row in range(len(batch))}) == count
    # A view of the frame's own memory, which it keeps alive.
    assert got[0]["value"].base is not None
    assert not got[0]["value"].flags.owndata


def test_an_arrow_table_arrives_as_it_was_sent(app: ttp.App) -> None:
    pa = pytest.importorskip("pyarrow", reason="Arrow tables need pyarrow")
    got: list[Any] = []

    @app.batch(Reading)
    def store(batch: ttp.Batch[Reading]) -> None:
        got.append(pa.table(batch))

    note = pa.array(["worn", None, "worn"]).dictionary_encode()
    at = pa.array([datetime(2026, 1, 1, tzinfo=UTC)] * 3, pa.timestamp("us", "UTC"))
    sent = pa.table({"device": ["pump-1", "pump-2", "pump-1"], "at": at, "value": [21.5, 84.0, 22.5], "note": note})
    store.submit_columns(sent)
    with pytest.raises(ttp.SerializationError, match="column 'value': float cannot be made from text"):
        store.submit_columns(sent.set_column(2, "value", note))
    testing.drain(app)
    assert [table.to_pylist() for table in got] == [sent.to_pylist()]


def test_rows_are_read_as_columns_and_columns_as_rows(app: ttp.App) -> None:
    got: list[Any] = []

    @app.batch(Reading)
    def store(batch: ttp.Batch[Reading]) -> None:
        got.extend(zip(batch["device"], batch["at"], batch["value"], batch["note"], strict=True))

    store.emit("pump", datetime(2026, 1, 1, tzinfo=UTC), 1, note="new")
    store.emit("pump", datetime(2026, 1, 1), value=2.5)  # noqa: DTZ001
    testing.drain(app)
    midnight = np.datetime64("2026-01-01", "us")
    assert got == [("pump", midnight, 1.0, "new"), ("pump", midnight, 2.5, None)]

    rows: list[Any] = []

    @app.task(name="per-row")
    def single(device: str, at: datetime, value: float, note: str | None) -> None:
        rows.append((device, at, value, note))

    with ttp.App("plant", app.url) as sender:

        @sender.batch(Reading, name="per-row")
        def elsewhere(batch: ttp.Batch[Reading]) -> None: ...

        elsewhere.submit_columns(**readings(3))
    testing.drain(app)
    assert rows == [(f"pump-{i % 2 + 1}", datetime(2026, 1, 1, 0, 0, 0, i), float(i), None) for i in range(3)]  # noqa: DTZ001


def test_only_the_rows_at_fault_fail(app: ttp.App) -> None:
    bad, done, calls = {3.0, 700.0, 701.0}, [], []

    @app.batch(Reading, retry=NO_RETRY)
    def store(batch: ttp.Batch[Reading]) -> None:
        calls.append(len(batch))
        if bad & set(batch["value"].tolist()):
            raise ValueError("cannot be stored")
        done.extend(batch["value"].tolist())

    store.submit_columns(**readings(1000))
    testing.drain(app)
    assert sorted(letter.args[2] for letter in app.dead_letters()) == sorted(bad)
    assert sorted(done) == [float(n) for n in range(1000) if float(n) not in bad]
    assert len(calls) < 80


def test_a_row_of_another_shape_fails_alone(app: ttp.App) -> None:
    done: list[float] = []

    @app.batch(Reading)
    def store(batch: ttp.Batch[Reading]) -> None:
        done.extend(batch["value"].tolist())

    at = datetime(2026, 1, 1, tzinfo=UTC)
    foreign = app.remote(store.name)
    foreign.submit_many(
        [("pump", at, 1.0), ("pump", at, "hot"), ("pump",), ("pump", at, 2, "note"), ("pump", None, 3.0)]
    )
    testing.drain(app)
    assert sorted(done) == [1.0, 2.0]
    assert sorted(len(letter.args) for letter in app.dead_letters()) == [1, 3, 3]


def test_a_batch_says_which_rows_failed(app: ttp.App) -> None:
    attempts: dict[float, int] = {}
    children: list[int] = []

    @app.task
    def child(n: int) -> None:
        children.append(n)

    @app.batch(Reading, retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.001))
    def store(batch: ttp.Batch[Reading]) -> None:
        for value in batch["value"].tolist():
            attempts[value] = attempts.get(value, 0) + 1
        child.emit(len(batch))
        values = batch["value"]
        batch.fail(np.flatnonzero(values == 5.0), "later")
        batch.fail(np.flatnonzero(values == 0.0), "never", retry=False)

    store.submit_columns(**readings(10))
    testing.drain(app)
    assert attempts == {float(n): 2 if n == 5 else 1 for n in range(10)}
    assert sorted((letter.args[2], letter.reason) for letter in app.dead_letters()) == [
        (0.0, "Rejected: never"),
        (5.0, "RowFailed: later"),
    ]
    assert sorted(children) == [1, 10]  # what a batch submits stays, whichever rows it says have failed


def test_a_coroutine_that_a_batch_handler_returned_is_a_failure(app: ttp.App) -> None:
    async def store_later() -> None: ...

    @app.batch(Reading, retry=NO_RETRY)
    def store(batch: ttp.Batch[Reading]) -> None:
        return store_later()  # type: ignore[return-value]

    store.submit_columns(**readings(3))
    testing.drain(app)
    reasons = [letter.reason for letter in app.dead_letters()]
    assert len(reasons) == 3
    assert all("TypeError: the handler returned a coroutine that nobody awaits: " in reason for reason in reasons)


def test_numpy_times_of_single_events_are_times(app: ttp.App) -> None:
    got: list[Any] = []

    @app.batch(Reading, retry=NO_RETRY)
    def store(batch: ttp.Batch[Reading]) -> None:
        got.extend(batch["at"])

    at = np.datetime64("2026-01-01", "D")
    store.emit("pump", at, 1.0)
    testing.drain(app)
    assert got == [at]


def test_columns_from_a_handler_commit_with_their_parent(app: ttp.App) -> None:
    total: list[float] = []

    @app.batch(Reading)
    def store(batch: ttp.Batch[Reading]) -> None:
        total.append(float(batch["value"].sum()))

    @app.task(retry=NO_RETRY)
    def fan_out(*, fail: bool) -> None:
        store.submit_columns(**readings(5000))
        if fail:
            raise ValueError("nothing of it is sent")

    fan_out.submit(fail=True)
    fan_out.submit(fail=False)
    testing.drain(app)
    assert sum(total) == sum(range(5000))


def test_columns_are_sent_with_options(app: ttp.App) -> None:
    got: list[tuple[str, int]] = []

    @app.batch(Reading, retry=NO_RETRY)
    def store(batch: ttp.Batch[Reading]) -> None:
        got.append((batch["device"][0], len(batch)))
        if batch["device"][0] == "parent":
            store.options(delay=0.0, detached=True).submit_columns(**readings(3))
            raise ValueError("what is detached is sent all the same")

    low, high = store.options(priority="low"), store.options(priority="high")
    low.submit_columns(**readings(2))
    high.submit_columns(**{**readings(1), "device": ["parent"]})
    with pytest.raises(ValueError, match="give delay or at"):
        store.options(delay=1.0, at=datetime.now(UTC))
    testing.drain(app)
    assert got[0] == ("parent", 1)
    assert sorted(got[1:]) == [("pump-1", 2), ("pump-1", 3)]
