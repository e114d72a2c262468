"""A producer's one connection."""

from types import SimpleNamespace
from typing import Any

import pytest

from failing_first import failing_first
from ttp.coordination import durability
from ttp.producer.link import Link


def test_a_connection_that_gets_no_barrier_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    names = iter(["first", "second"])

    def open_connection(_: float) -> Any:
        name = next(names)
        return SimpleNamespace(name=name, close=lambda: closed.append(name))

    monkeypatch.setattr(durability, "Barrier", failing_first(durability.Barrier))
    link = Link(open_connection, "memory")
    with pytest.raises(MemoryError):
        link.open(None)
    assert closed == ["first"]
    assert link.connection is None
    connection, _ = link.open(None)
    assert link.connection is connection
    assert closed == ["first"]
