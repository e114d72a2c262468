"""Whose frames a worker takes over: of those that are dead or stalled by its last look, while they are."""

from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import pytest

from ttp.coordination.commands import Command
from ttp.coordination.keys import Keys
from ttp.worker.recovery import Recovery

KEYS = Keys("plant", "q")


class Server:
    """Stands in for the wire: it has nothing to take over, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: deque[Command] = deque()
        self.connection = self

    def settle(self) -> None: ...

    def call(self, *command: Any) -> Sequence[Any]:
        self.asked.append(command)
        return ()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def recovery(server: Server) -> Recovery:
    unused = cast("Any", None)
    return Recovery(
        wire=cast("Any", server),
        committer=unused,
        hand=unused,
        inbox=unused,
        stats=unused,
        consumer="me",
        streams={KEYS.stream(1): KEYS},
        receive=unused,
    )


@pytest.mark.parametrize(("dead", "stalled", "crashed"), [(["other"], [], 1), ([], ["other"], 0)])
def test_frames_are_taken_by_the_beat_that_was_seen(
    recovery: Recovery, server: Server, dead: list[str], stalled: list[str], crashed: int
) -> None:
    recovery.note(dead, stalled, {KEYS: {"other": 7, "me": 3}})
    assert recovery.due
    recovery.claim_one()
    (asked,) = server.asked
    assert asked[-5:] == ("other", "me", crashed, 1, 7)
    assert not recovery.due


def test_who_has_come_back_keeps_what_it_has(recovery: Recovery) -> None:
    recovery.note([], ["other"], {KEYS: {"other": 7}})
    recovery.note([], [], {KEYS: {"other": 8}})
    assert not recovery.due


def test_who_is_dead_on_second_thoughts_has_crashed(recovery: Recovery, server: Server) -> None:
    recovery.note([], ["other"], {KEYS: {"other": 7}})
    recovery.note(["other"], [], {KEYS: {"other": 7}})
    recovery.claim_one()
    assert server.asked[0][-3] == 1
