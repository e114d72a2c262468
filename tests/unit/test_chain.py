"""A producer's chain against a modelled server: every frame is accepted once and in order, whatever gets lost."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failing_first import failing_first
from ttp.producer.chain import Chain
from ttp.producer.window import ResendWindow


class Frame:
    """As much of a frame as a chain looks at."""

    def __init__(self, fid: int) -> None:
        self.fid = fid


def made(fid: int) -> Any:
    """One, as a chain takes it."""
    return Frame(fid)


def told_of(chain: Chain) -> list[int]:
    """Take out what is accepted, and was not told yet."""
    return [chain.accepted.popleft().fid for _ in range(len(chain.accepted))]


class Server:
    """Accepts only the successor of the last frame, by chain id."""

    def __init__(self) -> None:
        self.last: dict[str, int | None] = {}
        self.accepted: list[int] = []
        self.full = False

    def submit(self, chain: str, previous: int | None, fid: int) -> tuple[str, int | None]:
        last = self.last.get(chain)
        if last != previous:
            return "NO", last
        if self.full:
            return "FULL", last
        self.last[chain] = fid
        self.accepted.append(fid)
        return "OK", fid


STEPS = st.lists(
    st.sampled_from(["push", "send", "send", "reply", "reply", "reply", "late", "drop", "disconnect", "full", "room"]),
    max_size=80,
)


@settings(max_examples=400)
@given(STEPS, st.integers(1, 8))
def test_accepted_once_and_in_order(steps: list[str], window: int) -> None:  # noqa: C901 - a simulation
    chain, server = Chain("c"), Server()
    pushed: list[Any] = []
    told: list[int] = []
    requests: list[tuple[str, int | None, int]] = []  # on the connection, in order
    zombies: list[tuple[str, int | None, int]] = []  # of dead connections: they may still arrive

    def send() -> None:
        requests.extend((chain.id, previous, frame.fid) for previous, frame in chain.sendable(window))

    def reply() -> None:
        if requests:
            chain.answer(*server.submit(*requests.pop(0)))
            told.extend(told_of(chain))

    for step in steps:
        if step == "push":
            pushed.append(made(len(pushed) + 1))
            chain.push(pushed[-1])
        elif step == "send":
            send()
        elif step == "reply":
            reply()
        elif step == "drop" and requests:  # executed, but the reply is lost with the connection
            server.submit(*requests[0])
            step = "disconnect"  # noqa: PLW2901
        elif step == "late" and zombies:
            server.submit(*zombies.pop(0))
        elif step in ("full", "room"):
            server.full = step == "full"
        if step == "disconnect":
            zombies.extend(requests)
            requests.clear()
            chain.disconnected()
    server.full = False
    for _ in range(300):
        send()
        while requests:
            reply()
    for zombie in zombies:
        server.submit(*zombie)
    fids = [frame.fid for frame in pushed]
    assert server.accepted == fids
    assert told == fids
    assert len(chain) == 0


def test_a_chain_that_another_continued_starts_anew() -> None:
    chain, server = Chain("shared"), Server()
    mine = [made(n) for n in (1, 2, 3)]
    for frame in mine:
        chain.push(frame)
    ((previous, first),) = chain.sendable(1)
    chain.answer(*server.submit(chain.id, previous, first.fid))
    server.last["shared"] = 99  # a clone of this process went on
    sent = [(chain.id, previous, frame.fid) for previous, frame in chain.sendable(8)]
    for request in sent:
        chain.answer(*server.submit(*request))
    assert told_of(chain) == [1]
    assert chain.id != "shared"
    for previous, frame in chain.sendable(8):
        chain.answer(*server.submit(chain.id, previous, frame.fid))
    assert server.accepted == [1, 2, 3]


def test_what_may_be_on_the_server_is_not_taken_back() -> None:
    chain = Chain("c")
    first, second, third = made(1), made(2), made(3)
    for frame in (first, second, third):
        chain.push(frame)
    chain.sendable(1)
    assert not chain.withdraw(first)
    assert chain.withdraw(third)
    chain.disconnected()
    assert not chain.withdraw(first)  # its request may still arrive
    assert chain.withdraw(second)
    chain.sendable(8)
    chain.answer("FULL", None)
    assert chain.full
    assert not chain.withdraw(first)


def test_what_was_refused_may_be_taken_back() -> None:
    chain = Chain("c")
    frame = made(1)
    chain.push(frame)
    chain.sendable(8)
    chain.answer("FULL", None)
    assert not chain.accepted
    assert chain.withdraw(frame)
    assert len(chain) == 0


def test_a_chain_stays_full_for_those_behind_the_refused_frame() -> None:
    chain = Chain("p")
    chain.push(made(1))
    chain.push(made(2))
    assert len(chain.sendable(8)) == 2
    chain.answer("FULL", None)
    chain.answer("NO", None)
    assert chain.full
    assert chain.sendable(1)
    chain.answer("OK", 1)
    assert told_of(chain) == [1]
    assert not chain.full


def test_a_frame_that_cannot_be_kept_is_accepted_by_the_next_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ResendWindow, "keep", failing_first(ResendWindow.keep))
    chain = Chain("c")
    chain.push(made(1))
    chain.sendable(8)
    with pytest.raises(MemoryError):
        chain.answer("OK", 1)
    assert not chain.accepted
    assert len(chain) == 1
    chain.disconnected()
    chain.sendable(8)
    chain.answer("NO", 1)
    assert told_of(chain) == [1]
    assert len(chain) == 0
