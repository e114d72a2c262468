"""Chains with a resend window against a modelled server that goes back to an earlier state, as in a failover."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttp.producer.chain import Chain
from ttp.producer.owned import OwnedChain
from ttp.producer.window import KeptFrame, ResendWindow, kept


class Frame:
    """As much of a frame as chains and windows look at, of one task."""

    route = None

    def __init__(self, fid: int, size: int = 10) -> None:
        self.fid = fid
        self._data = bytes(size)

    def __len__(self) -> int:
        return 1

    def data(self) -> bytes:
        return self._data


def made(fid: int, size: int = 10) -> Any:
    """One, as a chain takes it."""
    return Frame(fid, size)


class Server:
    """What submit.lua and resume.lua do, and a replica that takes over."""

    def __init__(self) -> None:
        self.last: dict[str, int] = {}
        self.owner: int | None = None
        self.resumes = 0
        self.accepted: list[int] = []
        self.replicate()

    def submit(self, chain: str, owner: int | None, previous: int | None, fid: int) -> tuple[str, int | None]:
        if owner != self.owner:
            return "FENCED", self.owner
        if self.last.get(chain) != previous:
            return "NO", self.last.get(chain)
        self.last[chain] = fid
        self.accepted.append(fid)
        return "OK", fid

    def resume(self, chain: str) -> tuple[int | None, int, int]:
        self.resumes += 1
        self.owner = self.resumes
        return self.last.get(chain), len(self.accepted), self.owner

    def replicate(self) -> None:
        """The replica has all now."""
        self._replica = dict(self.last), self.owner, list(self.accepted)

    def fail_over(self) -> None:
        """The replica is the server now."""
        last, self.owner, accepted = self._replica
        self.last, self.accepted = dict(last), list(accepted)


class Sender:
    """A chain, its connection, and what of earlier connections is still on the way."""

    def __init__(self, chain: Chain, server: Server, window: ResendWindow) -> None:
        self.chain, self.server, self.window = chain, server, window
        chain.window = window
        self.now = 0.0
        self.requests: list[Callable[[], None]] = []  # on the connection, in order
        self.zombies: list[tuple[str, int | None, int | None, int]] = []
        self._sent: list[tuple[str, int | None, int | None, int]] = []
        self.told: list[int] = []

    def ask(self) -> None:
        if self.chain in self.window and not (isinstance(self.chain, OwnedChain) and self.chain.owner is None):
            self.requests.append(self._asked)

    def _asked(self) -> None:
        last = self.server.last.get(self.chain.id)
        if isinstance(self.chain, OwnedChain):
            self.chain.owned_by(self.server.owner, last)
        else:
            self.chain.stands(last)

    def send(self) -> None:
        chain = self.chain
        if isinstance(chain, OwnedChain) and chain.owner is None and (len(chain) or chain in self.window):
            chain.resumed(*self.server.resume(chain.id))
            self._hear()
        owner = chain.owner if isinstance(chain, OwnedChain) else None
        for previous, frame in chain.sendable(4):
            say = (chain.id, owner, previous, frame.fid)
            self._sent.append(say)
            self.requests.append(lambda say=say: self._submitted(say))  # type: ignore[misc]

    def _submitted(self, say: tuple[str, int | None, int | None, int]) -> None:
        self._sent.remove(say)
        self.chain.answer(*self.server.submit(*say))

    def reply(self) -> None:
        if self.requests:
            self.requests.pop(0)()
            self._hear()
            self.window.answered(self.now)

    def _hear(self) -> None:
        self.told += [frame.fid for frame in self.chain.accepted if not kept(frame)]
        self.chain.accepted.clear()

    def disconnect(self) -> None:
        self.zombies += self._sent
        self._sent.clear()
        self.requests.clear()
        self.window.interrupted()
        self.chain.disconnected()
        self.ask()


WORDS = ["push", "send", "reply", "accept", "accept", "second", "replicate", "fail over", "cut", "late", "outage"]


@pytest.mark.parametrize("kind", [Chain, OwnedChain])
@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=20, max_size=60))
def test_a_server_that_goes_back_loses_and_doubles_nothing(  # noqa: C901, PLR0912 - a simulation
    kind: type[Chain], steps: list[str]
) -> None:
    server = Server()
    sender = Sender(kind("c"), server, ResendWindow(seconds=5.0, limit=1 << 20))
    fid, replicated = 0, 0.0
    for step in steps:
        if step in ("push", "accept"):
            fid += 1
            sender.chain.push(made(fid))
        if step in ("send", "accept"):
            sender.send()
        if step == "accept":
            while sender.requests:
                sender.reply()
        elif step == "reply":
            sender.reply()
        elif step == "late" and sender.zombies:
            server.submit(*sender.zombies.pop(0))
        elif step == "cut":
            sender.disconnect()
        elif step == "outage":
            sender.disconnect()
            sender.now += 100.0
        elif step == "second":
            sender.now += 1.0
            sender.ask()
            while sender.requests:
                sender.reply()
        elif step == "fail over":
            server.fail_over()
        if step == "replicate" or sender.now - replicated > 2.0:
            replicated = sender.now
            if step != "fail over":
                server.replicate()
    for _ in range(3):
        sender.ask()
        for _ in range(fid + 1):
            sender.send()
            while sender.requests:
                sender.reply()
    for zombie in sender.zombies:
        server.submit(*zombie)
    assert server.accepted == sender.told == list(range(1, fid + 1))
    assert len(sender.chain) == 0
    if isinstance(sender.chain, OwnedChain) and sender.chain.owner is not None:
        assert sender.chain.position == fid


def window_of(*frames: Any, limit: int = 1 << 20) -> tuple[ResendWindow, Chain]:
    window, chain = ResendWindow(5.0, limit), Chain("c")
    window.answered(100.0)
    previous = None
    for frame in frames:
        window.keep(chain, previous, frame)
        previous = frame.fid
    return window, chain


def taken(window: ResendWindow, chain: Chain, last: int | None) -> list[int] | None:
    frames = window.take_after(chain, last)
    return None if frames is None else [frame.fid for frame in frames]


def test_it_forgets_after_seconds_in_which_the_server_answers() -> None:
    window, chain = window_of(made(1))
    for second in range(1, 6):
        window.answered(100.0 + second)
    assert chain in window
    window.interrupted()
    window.answered(900.0)  # an outage is no time
    assert chain in window
    window.answered(900.5)
    assert chain not in window
    assert len(window) == 0


def test_bytes_are_limited_and_what_went_is_told() -> None:
    window, chain = window_of(*(made(n, 10_000) for n in range(1, 11)), limit=35_000)
    assert taken(window, chain, 4) == [8, 9, 10]
    assert window.lost == 3  # 5, 6 and 7


def test_only_the_chains_own_frames_are_taken() -> None:
    window, chain = window_of(made(1), made(2))
    other = Chain("o")
    window.keep(other, None, made(7))
    assert taken(window, chain, 1) == [2]
    assert chain in window
    assert taken(window, chain, 5) is None
    assert taken(window, other, None) == [7]
    assert other not in window


def test_nothing_is_kept_without_a_limit() -> None:
    window, chain = window_of(made(1), limit=0)
    assert chain not in window


def test_of_a_frame_that_is_not_remembered_nothing_is_sent_again() -> None:
    """It may be a clone's: then all that was accepted is there."""
    window, chain = window_of(made(1), made(2))
    chain.window = window
    chain.stands(99)
    assert not chain.accepted
    assert chain.id != "c"
    assert chain.sendable(8) == []
    assert chain not in window


def test_a_server_without_the_chain_gets_all_that_is_remembered() -> None:
    window, chain = window_of(made(2), made(3))
    chain.window = window
    chain._accepted = 3
    chain.stands(None)
    assert [(previous, frame.fid) for previous, frame in chain.sendable(8)] == [(None, 2), (2, 3)]


def test_what_is_sent_again_is_not_taken_back() -> None:
    chain = Chain("c")
    chain.window = ResendWindow(5.0, 1000)
    chain.push(made(1))
    chain.sendable(1)
    chain.answer("OK", 1)
    for fid in (2, 3):
        chain.push(made(fid))
    chain.sendable(1)
    chain.stands(None)
    on_the_way = next(frame for frame in chain if frame.fid == 2)
    assert not chain.withdraw(on_the_way)
    chain.answer("NO", None)  # now nothing is on the wire
    again = next(iter(chain))
    assert isinstance(again, KeptFrame)
    assert not chain.withdraw(again)
    assert (first := chain.first_unsent()) is not None
    assert first.fid == 2  # which was refused
