"""One thread leads for all: nobody is forgotten, whatever the order of events."""

import threading
from types import SimpleNamespace

import pytest

from ttp.producer.lead import Lead

LONG = 30.0


def awaited() -> SimpleNamespace:
    return SimpleNamespace(outcome=None)


def follow(lead: Lead, work: SimpleNamespace, turns: list[str]) -> threading.Thread:
    """A thread that follows until its work is settled, and settles it itself where it leads."""

    def run() -> None:
        while work.outcome is None:
            if lead.take_or_follow(work, LONG):
                turns.append("led")
                work.outcome = True
                lead.settled()
                lead.release()
        turns.append("ended")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def followers(lead: Lead, count: int) -> None:
    """Wait until so many follow."""
    pause = threading.Event()
    while len(lead._followers) < count:
        pause.wait(0.001)


def test_who_finds_it_free_leads() -> None:
    lead = Lead()
    assert lead.take_or_follow(awaited(), LONG)
    assert not lead.take()
    lead.release()
    assert lead.take()


def test_the_leader_wakes_those_whose_work_is_settled_and_no_others() -> None:
    lead, mine, other = Lead(), awaited(), awaited()
    turns: list[str] = []
    assert lead.take()
    threads = [follow(lead, mine, turns) for _ in range(5)]
    stranger = follow(lead, other, [])
    followers(lead, 6)
    mine.outcome = True
    lead.settled()
    for thread in threads:
        thread.join(LONG)
    assert turns == ["ended"] * 5
    assert stranger.is_alive()
    lead.release()  # and now it is the stranger's turn
    stranger.join(LONG)
    assert other.outcome


def test_a_free_lead_goes_from_follower_to_follower() -> None:
    lead = Lead()
    turns: list[str] = []
    with lead:
        threads = [follow(lead, awaited(), turns) for _ in range(8)]
        followers(lead, 8)
    for thread in threads:
        thread.join(LONG)
    assert turns.count("led") == 8


def test_what_was_settled_before_one_could_follow_is_seen() -> None:
    lead, work = Lead(), awaited()
    with lead:
        work.outcome = True
        assert not lead.take_or_follow(work, LONG)
        assert not lead._followers


def test_who_waits_in_vain_leaves_without_a_trace() -> None:
    lead = Lead()
    with lead:
        assert not lead.take_or_follow(awaited(), 0.001)
        assert not lead._followers


@pytest.mark.parametrize("nth", [1, 2])
def test_who_fails_to_wait_leaves_without_a_trace(nth: int) -> None:
    class Awaited:
        looks = 0

        @property
        def outcome(self) -> None:
            self.looks += 1
            if self.looks == nth:
                raise MemoryError

    lead = Lead()
    with lead:
        with pytest.raises(MemoryError):
            lead.take_or_follow(Awaited(), LONG)  # type: ignore[arg-type]
        assert not lead._followers
