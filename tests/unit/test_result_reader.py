"""What the channel says of results: small ones arrive whole, and nothing has to be asked for."""

from collections.abc import Iterator

import pytest

from ttp import SigningKeys
from ttp.coordination.commands import TOLD_BYTES, Results, announcement, commit
from ttp.coordination.connection import Connection
from ttp.coordination.keys import Keys
from ttp.errors import BadSignature, ServerUnavailable
from ttp.native import DONE, FrameView, MemoryPool, Outbox, Route, Slice
from ttp.policy import Clock
from ttp.results import ResultReader

ORIGIN = 2**64 - 2
ENTRY = "7-19"
KEYS = Keys("plant", "q")
SIGNED = Keys("plant", "q", signing=SigningKeys({1: bytes(32)}))


def no_server(_: float) -> Connection:
    raise ServerUnavailable("no server in this test")


def heed_not() -> None:
    """A waiter that is woken."""


@pytest.fixture
def reader() -> Iterator[ResultReader]:
    """It has nobody to ask."""
    reader = ResultReader(open_connection=no_server, channel=lambda: "", clock=Clock())
    yield reader
    reader.close()


def block(*values: object) -> bytes:
    """Results of the first tasks of a frame."""
    outbox = Outbox(MemoryPool(65_536, 1), bytes(12), on_sealed=bool, on_submit=bool, on_full=bool)  # type: ignore[arg-type]
    route = Route(outbox, name="echo", queue="q", owner=None, submit=True, results=True)
    for value in values:
        route(value)
    outbox.seal()
    frame = outbox.take()
    assert frame is not None
    part = Slice(FrameView(bytes(frame.data())), 0, len(values))
    part.run(lambda value: value, lambda row, error: 0)
    return part.settle()[2]


def message(keys: Keys, blocks: bytes, entry_id: str = ENTRY) -> bytes:
    """What a commit says on the channel."""
    command = commit(
        keys, source=keys.stream(1), entry_id=entry_id, consumer="w", tasks=2, size=9, done=2,
        results=Results(ORIGIN, bytes(12), 1000, blocks),
    )  # fmt: skip
    said = command[command.index(keys.channel(bytes(12))) + 1]
    assert isinstance(said, bytes)
    return said


def hear(reader: ResultReader, said: bytes) -> None:
    reader._hear(*announcement(said))


def test_small_results_arrive_with_the_message(reader: ResultReader) -> None:
    reader.watch(ORIGIN, heed_not)
    assert reader.look(KEYS, ORIGIN, 0) is None
    hear(reader, message(KEYS, block("a", {"n": 1})))
    assert reader.look(KEYS, ORIGIN, 1) == (DONE, {"n": 1})
    assert reader.look(KEYS, ORIGIN, 0) == (DONE, "a")  # for all who wait
    reader.unwatch(ORIGIN, heed_not)
    assert reader.look(KEYS, ORIGIN, 0) == (DONE, "a")


@pytest.mark.parametrize("turn", [1, -1])
def test_the_later_commit_has_the_last_word_in_whatever_order_they_arrive(reader: ResultReader, turn: int) -> None:
    reader.watch(ORIGIN, heed_not)
    for entry_id, value in [("9-1", "first"), ("10-1", "second")][::turn]:
        hear(reader, message(KEYS, block(value), entry_id))
    assert reader.look(KEYS, ORIGIN, 0) == (DONE, "second")
    reader.unwatch(ORIGIN, heed_not)


def test_large_results_are_asked_for(reader: ResultReader) -> None:
    large = block("x" * TOLD_BYTES)
    said = message(KEYS, large)
    assert announcement(said) == (ORIGIN, None)
    reader.watch(ORIGIN, heed_not)
    hear(reader, said)
    with pytest.raises(ServerUnavailable):
        reader.look(KEYS, ORIGIN, 0)
    reader.unwatch(ORIGIN, heed_not)


def test_what_nobody_waits_for_is_not_kept_but_asked_for_later(reader: ResultReader) -> None:
    hear(reader, message(KEYS, block("a")))
    with pytest.raises(ServerUnavailable):
        reader.look(KEYS, ORIGIN, 0)


def test_what_came_when_nobody_waited_any_more_is_asked_for_later(reader: ResultReader) -> None:
    reader.watch(ORIGIN, heed_not)
    hear(reader, message(KEYS, block("a")))
    reader.unwatch(ORIGIN, heed_not)
    with pytest.raises(ServerUnavailable):
        reader.look(KEYS, ORIGIN, 0)


def test_a_message_is_believed_only_with_its_signature(reader: ResultReader) -> None:
    reader.watch(ORIGIN, heed_not)
    hear(reader, message(SIGNED, block("a")))
    assert reader.look(SIGNED, ORIGIN, 0) == (DONE, "a")
    hear(reader, message(KEYS, block("forged"), "8-1"))
    with pytest.raises(BadSignature):
        reader.look(SIGNED, ORIGIN, 0)
    assert reader.look(SIGNED, ORIGIN, 0) == (DONE, "a")
    reader.unwatch(ORIGIN, heed_not)
