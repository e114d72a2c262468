"""A chain with a store against a modelled server: processes die, connections break, the server is full."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ttp.errors import ServerRefused, StoreUnavailable
from ttp.native import encode_frame, encode_row
from ttp.policy import Clock
from ttp.producer.counts import SendingCounts
from ttp.producer.owned import OwnedChain
from ttp.producer.records import scan
from ttp.producer.store import Store
from ttp.producer.stored import StoredChain, on_disk


class Route:
    at = delay = 0.0


class Frame:
    """As much of a frame as a chain looks at, of one task."""

    route = Route()

    def __init__(self, fid: int) -> None:
        self.fid = fid
        self.outcome: Any = None
        self.released = False

    def __len__(self) -> int:
        return 1

    def data(self) -> bytes:
        assert not self.released
        return encode_frame([encode_row([1])], name="t", queue="q", fid=self.fid, producer=bytes(12))

    def release(self) -> None:
        self.released = True


class Server:
    """What submit.lua and resume.lua do with a chain."""

    def __init__(self) -> None:
        self.last: int | None = None
        self.owner = 0
        self.position = 0
        self.accepted: list[int] = []
        self.full = False

    def resume(self) -> tuple[int | None, int, int]:
        self.owner += 1
        return self.last, self.position, self.owner

    def submit(self, owner: int | None, previous: int | None, fid: int) -> tuple[str, int | None]:
        if owner != self.owner:
            return "FENCED", self.owner
        if self.last != previous:
            return "NO", self.last
        if self.full:
            return "FULL", self.last
        self.last = fid
        self.position += 1
        self.accepted.append(fid)
        return "OK", fid


def opened(folder: Path, limit: int = 1 << 30) -> Store:
    return Store(folder, app="a", limit=limit, fsync="never", counts=SendingCounts(), clock=Clock())


def the_chain(store: Store) -> StoredChain:
    left = [chain for _, _, chain in store.waiting()]
    return left[0] if left else store.chain("q", 1, store.chain_id("t"))


WORDS = ["push", "push", "send", "send", "reply", "reply", "reply", "late", "cut", "connect", "full", "room", "die"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(WORDS), max_size=80), st.integers(1, 8))
def test_what_is_stored_is_accepted_once_and_in_order(steps: list[str], window: int) -> None:  # noqa: C901, PLR0912
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        server, store = Server(), opened(folder)
        chain = the_chain(store)
        told: list[int] = []
        safe: set[int] = set()
        requests: list[tuple[int | None, int | None, int]] = []  # on the connection, in order
        zombies: list[tuple[int | None, int | None, int]] = []  # of dead connections: they may still arrive
        fid = 0

        def send() -> None:
            if chain.away:
                return
            if chain.owner is None and len(chain):
                chain.resumed(*server.resume())
            requests.extend((chain.owner, previous, frame.fid) for previous, frame in chain.sendable(window))

        def reply() -> None:
            if requests:
                chain.answer(*server.submit(*requests.pop(0)))

        for step in steps:
            if step == "push":
                fid += 1
                chain.push(Frame(fid))  # type: ignore[arg-type]
            elif step == "send":
                send()
            elif step == "reply":
                reply()
            elif step == "late" and zombies:
                server.submit(*zombies.pop(0))
            elif step == "connect":
                chain.connected()
            elif step in ("full", "room"):
                server.full = step == "full"
            if step == "cut":
                zombies += requests
                requests.clear()
                chain.disconnected()
            if chain.away:
                assert all(map(on_disk, chain._frames)), "without a connection all is on disk"
            if step == "die":
                for file in folder.glob("*/*.journal"):
                    safe |= {record.fid for record in scan(file.read_bytes(), 1)[0]}
                told += [frame.fid for frame in chain.accepted]
                zombies += requests
                requests.clear()
                store.close()
                store = opened(folder)
                chain = the_chain(store)
        server.full = False
        chain.connected()
        for _ in range(300):
            send()
            while requests:
                reply()
        for zombie in zombies:
            server.submit(*zombie)
        told += [frame.fid for frame in chain.accepted]
        assert server.accepted == sorted(set(server.accepted))
        died = steps.count("die")
        if not died:
            assert server.accepted == told == list(range(1, fid + 1))
        assert {*told, *safe} <= set(server.accepted)
        assert len(chain) == 0
        assert chain.journal.frames == 0
        assert chain.owner is None or chain.position == server.position
        store.close()


def test_all_that_was_on_disk_survives(tmp_path: Path) -> None:
    server, store = Server(), opened(tmp_path)
    chain = the_chain(store)
    chain.connected()
    chain.resumed(*server.resume())
    for fid in (1, 2, 3):
        chain.push(Frame(fid))  # type: ignore[arg-type]
    sent = chain.sendable(2)
    chain.disconnected()
    for previous, frame in sent:  # they arrive all the same, and nobody hears of it
        server.submit(chain.owner, previous, frame.fid)
    for fid in (4, 5):
        chain.push(Frame(fid))  # type: ignore[arg-type]
    store.close()
    later = opened(tmp_path)
    chain = the_chain(later)
    assert chain.pushed == 5
    chain.connected()
    chain.resumed(*server.resume())
    assert not chain.accepted
    for previous, frame in chain.sendable(8):
        chain.answer(*server.submit(chain.owner, previous, frame.fid))
    assert server.accepted == [1, 2, 3, 4, 5]
    assert not list(tmp_path.glob("*/*.journal"))
    later.close()


def test_an_owner_that_was_succeeded_sends_no_more() -> None:
    server, first, second = Server(), OwnedChain("p"), OwnedChain("p")
    first.resumed(*server.resume())
    first.push(Frame(1))  # type: ignore[arg-type]
    sent = first.sendable(8)
    second.resumed(*server.resume())
    with pytest.raises(ServerRefused, match="taken over"):
        first.answer(*server.submit(first.owner, sent[0][0], 1))
    assert server.accepted == []


def test_a_server_that_has_lost_the_owner_is_asked_again() -> None:
    server, chain = Server(), OwnedChain("p")
    server.owner = 6
    chain.resumed(*server.resume())
    for fid in (1, 2):
        chain.push(Frame(fid))  # type: ignore[arg-type]
    sent = chain.sendable(8)
    server.owner = 0  # it starts empty
    for previous, frame in sent:
        chain.answer(*server.submit(chain.owner, previous, frame.fid))
    assert not chain.accepted
    assert chain.owner is None
    chain.resumed(*server.resume())
    for previous, frame in chain.sendable(8):
        chain.answer(*server.submit(chain.owner, previous, frame.fid))
    assert server.accepted == [1, 2]


def test_at_the_limit_frames_wait_in_memory(tmp_path: Path) -> None:
    store = opened(tmp_path, limit=500)
    chain = the_chain(store)
    frames = [Frame(fid) for fid in range(1, 7)]
    for made in frames:
        chain.push(made)  # type: ignore[arg-type]
    assert "at its limit of 500 bytes" in store.trouble
    kept = [frame.fid for frame in frames if frame.released]
    assert kept == list(range(1, len(kept) + 1))
    assert 0 < len(kept) < 6
    server = Server()
    chain.connected()
    chain.resumed(*server.resume())
    while requests := chain.sendable(2):
        for previous, frame in requests:
            chain.answer(*server.submit(chain.owner, previous, frame.fid))
    assert server.accepted == [1, 2, 3, 4, 5, 6]
    store.close()


class TestFolder:
    def test_two_owners(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        with pytest.raises(StoreUnavailable, match=r"in use by process \d+"):
            opened(tmp_path)
        store.close()
        opened(tmp_path).close()

    def test_of_another_app(self, tmp_path: Path) -> None:
        opened(tmp_path).close()
        with pytest.raises(StoreUnavailable, match="belongs to the app 'a'"):
            Store(tmp_path, app="b", limit=1 << 30, fsync="never", counts=SendingCounts(), clock=Clock())
        opened(tmp_path).close()

    def test_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreUnavailable, match=r"cannot use the store .*App\(store=…\)"):
            opened(tmp_path / "file" / "store")

    def test_with_a_damaged_owner(self, tmp_path: Path) -> None:
        opened(tmp_path).close()
        (tmp_path / "owner.json").write_text("{")
        with pytest.raises(StoreUnavailable, match=r"owner\.json is damaged"):
            opened(tmp_path)
