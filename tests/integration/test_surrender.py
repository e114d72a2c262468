"""Frames behind a slow handler are handed back while their delivery is on the wire."""

from random import Random
from types import SimpleNamespace
from typing import Any, cast

from script_queue import Queue
from ttp.coordination.commands import Command
from ttp.policy import Clock
from ttp.worker.hand import Hand
from ttp.worker.inbox import Inbox
from ttp.worker.join import Joiner
from ttp.worker.recovery import Recovery
from ttp.worker.scoreboard import Layout, Scoreboard
from ttp.worker.stats import Stats


def test_a_damaged_frame_is_not_forgotten(queue: Queue) -> None:
    """Nobody but its worker buries it: if that took it for one that is handed back, it was pending for ever."""
    (entry,) = [queue.deliver("me", frame=b"damaged")]

    def call(command: Command, *, patience: float) -> Any:
        assert patience > 0
        return queue.run(command)

    hand, clock = Hand(Joiner(Clock())), Clock()
    stats = Stats(Scoreboard(Layout.of([], 1)).slot(0))
    inbox = Inbox({}, consumer="me", clock=clock, rng=Random(1), stats=stats, state=None)
    recovery = Recovery(
        wire=cast("Any", SimpleNamespace(fetching=True)),
        committer=cast("Any", SimpleNamespace(line=SimpleNamespace(call=call))),
        hand=hand,
        inbox=inbox,
        stats=stats,
        consumer="me",
        streams=dict.fromkeys(queue.keys.streams, queue.keys),
        receive=lambda _: None,
    )
    recovery.surrender()
    assert hand.learn(entry.id), "it is in nobody's hand, and yet it is known"
