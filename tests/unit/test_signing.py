"""Signatures of frames and results: what is accepted, what is refused, and that secrets stay secret."""

import hashlib
import hmac
import pickle
from random import Random

import pytest

from ttp.coordination import commands, dead_frames
from ttp.coordination.commands import Entry, Placement
from ttp.coordination.keys import OVERHEAD, Keys
from ttp.coordination.signing import SigningKeys
from ttp.errors import BadSignature
from ttp.native import encode_frame, encode_row, unpack
from ttp.policy import Clock
from ttp.worker.inbox import Inbox
from ttp.worker.scoreboard import Layout, Scoreboard
from ttp.worker.stats import Stats

OLD, NEW = b"o" * 32, b"n" * 40
FRAME = encode_frame([encode_row(["secret value"])], name="t", queue="q", fid=7, producer=bytes(12))


def signed(*keys: tuple[int, bytes], queue: str = "q", app: str = "a") -> Keys:
    return Keys(app, queue, signing=SigningKeys(dict(keys)) if keys else None)


def test_the_bytes_are_those_of_the_wire_format() -> None:
    stored = bytes(signed((3, OLD)).sign(memoryview(FRAME)))
    mark = b"TTPS" + (3).to_bytes(4, "little")
    tag = hmac.new(OLD, b"ttp:{a.0}:q:\0" + FRAME + mark, hashlib.sha256).digest()
    assert stored == FRAME + mark + tag
    assert len(stored) == len(FRAME) + OVERHEAD


def test_a_key_is_rotated() -> None:
    before, both, after = signed((1, OLD)), signed((2, NEW), (1, OLD)), signed((2, NEW))
    assert both.verify(bytes(before.sign(FRAME))) == FRAME
    assert after.verify(bytes(both.sign(FRAME))) == FRAME
    with pytest.raises(BadSignature, match="key 1 is not accepted"):
        after.verify(bytes(before.sign(FRAME)))


def test_every_bit_counts() -> None:
    keys = signed((1, OLD))
    stored = bytes(keys.sign(FRAME))
    for at in range(len(stored)):
        changed = bytearray(stored)
        changed[at] ^= 1 << at % 8
        with pytest.raises(BadSignature, match="bad signature"):
            keys.verify(bytes(changed))
    for size in range(len(stored)):
        with pytest.raises(BadSignature):
            keys.verify(stored[:size])


def test_a_signature_holds_in_its_place_only() -> None:
    stored = bytes(signed((1, OLD)).sign(FRAME))
    for other in (signed((1, OLD), queue="r"), signed((1, OLD), app="b"), signed((1, NEW))):
        with pytest.raises(BadSignature, match="does not match"):
            other.verify(stored)
    keys = signed((1, OLD))
    blocks = keys.sign_results(9, "4-7", b"blocks")
    assert keys.verify_results(9, "4-7", blocks) == b"blocks"
    for origin, entry in ((8, "4-7"), (9, "5-7")):
        with pytest.raises(BadSignature):
            keys.verify_results(origin, entry, blocks)


def test_an_app_without_keys_says_what_it_lacks() -> None:
    with pytest.raises(BadSignature, match="signing_key"):
        signed().verify(bytes(signed((1, OLD)).sign(FRAME)))
    assert signed().verify(FRAME) is FRAME


@pytest.mark.parametrize("keys", [{}, {1: b"short"}, {-1: OLD}, {1 << 32: OLD}, {1: "x" * 32}])
def test_keys_that_cannot_be_used(keys: dict[int, bytes]) -> None:
    with pytest.raises(ValueError, match=r"signing"):
        SigningKeys(keys)


def test_keys_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = SigningKeys({2: NEW, 1: OLD})
    assert repr(keys) == "<SigningKeys 2, 1; 2 signs>"
    assert "nnn" not in repr(Keys("a", "q", signing=keys))
    with pytest.raises(TypeError, match="secrets"):
        pickle.dumps(keys)
    monkeypatch.setenv("TTP_SIGNING_KEYS", f"5={NEW.hex()},6=no hexadecimal")
    with pytest.raises(ValueError, match="TTP_SIGNING_KEYS must be") as refused:
        SigningKeys.from_environment()
    assert refused.value.__suppress_context__
    monkeypatch.setenv("TTP_SIGNING_KEYS", f"5={NEW.hex()},6={OLD.hex()}")
    assert repr(SigningKeys.from_environment()) == "<SigningKeys 5, 6; 5 signs>"


def test_whatever_goes_to_the_server_is_signed() -> None:
    keys, other = signed((1, OLD)), signed((1, OLD), queue="other")
    offered = commands.submit(
        keys, priority=1, chain="c", prev=None, fid=7, due_ms=None, tasks=1, limit=1, frame=memoryview(FRAME)
    )
    assert keys.sign(FRAME) in offered
    placements = [
        Placement(kind="ready", frame=FRAME, fid=7, tasks=1, priority=1, queue=queue) for queue in (None, "other")
    ]
    said = commands.commit(keys, source=keys.held, entry_id="1-7", consumer="c", tasks=1, size=1, placements=placements)
    assert keys.sign(FRAME) in said
    assert other.sign(FRAME) in said
    buried = dead_frames.bury(
        keys, entry_id="1-7", rest=FRAME, rest_tasks=1, revive=FRAME, revive_fid=7, revive_tasks=1
    )
    assert buried.count(keys.sign(FRAME)) == 2
    assert FRAME not in (*offered, *said, *buried)


@pytest.mark.parametrize("stored", [FRAME, bytes(signed((9, OLD)).sign(FRAME)), bytes(signed((1, NEW)).sign(FRAME))])
def test_a_forged_frame_is_buried_as_it_came(stored: bytes) -> None:
    keys = signed((1, OLD))
    inbox = Inbox(
        {}, consumer="c", clock=Clock(), rng=Random(1), stats=Stats(Scoreboard(Layout.of([], 1)).slot(0)), state=None
    )
    said = inbox.open(Entry(keys.held, "1-7", 1, stored), keys, now_ms=1)
    assert isinstance(said, tuple)
    assert said.count(stored) == 1  # nobody has signed it
    (errors,) = (unpack(item) for item in said if isinstance(item, bytes) and b"BadSignature" in item)
    [(_, error_type, reason, traceback, _)] = errors
    assert (error_type, traceback) == ("BadSignature", "")
    assert reason.startswith("bad signature: ")
    assert "secret value" not in reason
    assert inbox.give_back(Entry(keys.held, "1-7", 1, stored), keys) is None
