"""Random histories over the real scripts: nothing accepted is lost, and nothing is committed twice.

TTP_PROTOCOL_SEEDS and TTP_PROTOCOL_STEPS make the search longer.
"""

import os
from collections import Counter
from collections.abc import Callable

import pytest

from protocol_model import Model
from real_server import Server

pytestmark = pytest.mark.once

SEEDS = int(os.environ.get("TTP_PROTOCOL_SEEDS", "6"))
STEPS = int(os.environ.get("TTP_PROTOCOL_STEPS", "3000"))


def without_chain(text: str) -> str:
    """No look at the chain: a frame is accepted whatever came before it."""
    return text.replace("if last ~= ARGV[1] then return {'NO', last} end", "")


def without_fence(text: str) -> str:
    """A commit goes on though the entry is not pending."""
    return text.replace(
        "if redis.call('XACK', source, 'g', id) == 0 then", "redis.call('XACK', source, 'g', id) if false then"
    )


def without_fid(text: str) -> str:
    """Entry ids are counters: after a rollback they recur."""
    return text.replace("'%.0f-%s'", "'%.0f-0'")


@pytest.mark.parametrize(("clones", "rollback"), [(True, False), (False, True)], ids=["clones", "rollbacks"])
def test_nothing_is_lost_and_nothing_doubled(server: Server, clones: bool, rollback: bool) -> None:
    seen: Counter[str] = Counter()
    for seed in range(SEEDS):
        outcome = Model(server, seed, clones=clones, rollback=rollback).run(STEPS)
        assert outcome.sound, f"seed {seed}: {outcome}"
        assert rollback or outcome.counters["accepted"] == outcome.tasks
        seen += outcome.stats
    # Not vacuous: everything that can go wrong did.
    expected = {"OK", "NO", "FULL", "commit OK", "commit FENCED", "committed out of memory", "revoked", "refused"}
    expected |= {"bury OK", "bury GONE"}
    expected |= {"rollback"} if rollback else {"new chain"}
    assert expected <= seen.keys()
    assert not seen["accepted out of memory"]


@pytest.mark.parametrize(
    ("without", "rollback"),
    [(without_chain, False), (without_fence, False), (without_fid, True)],
    ids=lambda p: getattr(p, "__name__", ""),
)
def test_each_guard_is_needed(server: Server, without: Callable[[str], str], rollback: bool) -> None:
    outcomes = (
        Model(server, seed, clones=not rollback, rollback=rollback, without=without).run(STEPS) for seed in range(30)
    )
    assert any(outcome.lost or outcome.doubled for outcome in outcomes), (
        "the model does not see that a guard is missing"
    )
