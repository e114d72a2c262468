"""Who is dead, who is stalled: judged by the observer's own clock."""

from ttp.worker.observer import Observer

ME = "me"


def observer(now: float = 0.0) -> Observer:
    """Connected long ago."""
    made = Observer(lease=5.0, stall=60.0)
    made.connected(now - 100.0)
    return made


def test_death_needs_two_scans_a_second_apart() -> None:
    watch = observer()
    beats = {"a": 1, "b": 1, ME: 1}
    assert watch.scan(0.0, beats, frozenset({"a", ME}), ME) == ([], [])
    assert watch.scan(0.9, beats, frozenset({"a", ME}), ME) == ([], [])
    assert watch.scan(1.0, beats, frozenset({"a", ME}), ME) == (["b"], [])


def test_who_comes_back_is_alive() -> None:
    watch = observer()
    watch.scan(0.0, {"a": 1}, frozenset(), ME)
    watch.scan(0.5, {"a": 1}, frozenset({"a"}), ME)
    assert watch.scan(1.2, {"a": 1}, frozenset(), ME) == ([], [])
    assert watch.scan(2.2, {"a": 1}, frozenset(), ME) == (["a"], [])


def test_nobody_is_dead_before_the_observer_is_connected_for_a_lease() -> None:
    watch = Observer(lease=5.0, stall=60.0)
    watch.scan(0.0, {"a": 1}, frozenset(), ME)
    assert watch.scan(9.0, {"a": 1}, frozenset(), ME) == ([], [])
    watch.connected(10.0)
    watch.scan(10.0, {"a": 1}, frozenset(), ME)
    assert watch.scan(14.9, {"a": 1}, frozenset(), ME) == ([], [])
    assert watch.scan(15.0, {"a": 1}, frozenset(), ME) == (["a"], [])


def test_a_reconnect_begins_all_over() -> None:
    watch = observer()
    watch.scan(0.0, {"a": 1}, frozenset(), ME)
    watch.connected(0.5)
    assert watch.scan(1.5, {"a": 1}, frozenset(), ME) == ([], [])


def test_stalled_is_connected_without_beats() -> None:
    watch = observer()
    listed = frozenset({"a", "b"})
    watch.scan(0.0, {"a": 1, "b": 1}, listed, ME)
    watch.scan(59.0, {"a": 1, "b": 2}, listed, ME)
    assert watch.scan(60.0, {"a": 1, "b": 2}, listed, ME) == ([], ["a"])
    assert watch.scan(61.0, {"a": 2, "b": 2}, listed, ME) == ([], [])


def test_without_a_client_list_beats_alone_decide_and_nobody_is_dead() -> None:
    watch = observer()
    watch.scan(0.0, {"a": 1}, None, ME)
    assert watch.scan(30.0, {"a": 1}, None, ME) == ([], [])
    assert watch.scan(60.0, {"a": 1}, None, ME) == ([], ["a"])


def test_oneself_is_never_judged() -> None:
    watch = observer()
    watch.scan(0.0, {ME: 1}, frozenset(), ME)
    assert watch.scan(100.0, {ME: 1}, frozenset(), ME) == ([], [])
