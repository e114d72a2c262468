"""What the cells of a scoreboard mean, and who reads what."""

import tempfile

from ttp.policy import CircuitBreaker, RetryPolicy
from ttp.worker.handler import Handler
from ttp.worker.scoreboard import BOUNDS, MAX_SERIES, OTHER, Layout, Scoreboard, outcomes_of, series_of, stage_of


def handler(name: str, breaker: CircuitBreaker | None = None) -> Handler:
    return Handler(name, "q", print, "sync", RetryPolicy(), None, 0.0, breaker=breaker)


def test_another_process_reads_what_one_has_counted() -> None:
    layout = Layout.of([handler("a"), handler("b", CircuitBreaker("db"))], 2)
    with tempfile.TemporaryFile() as file:
        file.truncate(layout.size)
        own = Scoreboard(layout, file.fileno()).slot(1)
        own.count("a", "done", 3)
        own.count("never heard of", "dead", 2)
        own.observe("b", "run", 0.002, 5)
        own.observe("b", "run", 100.0, 1)
        own.event("fenced")
        own.beat(serving=True, in_hand=7, ring=(3, 9), breakers={"db": "open"})
        idle, seen = Scoreboard(Layout.from_json(layout.to_json()), file.fileno()).slots()
    counted = [{k: n for k, n in outcomes_of(series_of(seen.series(), number)).items() if n} for number in range(3)]
    assert counted == [{"done": 3}, {}, {"dead": 2}], "the last series is that of all others"
    total, buckets = stage_of(series_of(seen.series(), 1), "run")
    assert total == 100.01
    assert buckets[BOUNDS.index(0.0025)] == 5
    assert buckets[-1] == 1
    assert sum(buckets) == 6
    assert (seen.process("fenced"), seen.process("serving"), seen.process("in_hand")) == (1, 1, 7)
    assert seen.breakers() == {"db": "open"}
    assert seen.silence() is not None
    assert idle.silence() is None
    assert (seen.total("done"), seen.total("dead"), idle.total("done")) == (3, 2, 0)


def test_the_number_of_series_is_bounded() -> None:
    layout = Layout.of([handler(f"t{n}") for n in range(MAX_SERIES + 50)], 1)
    assert len(layout.series) == MAX_SERIES + 1
    slot = Scoreboard(layout).slot(0)
    slot.count(f"t{MAX_SERIES + 7}", "done", 1)
    assert layout.series[-1] == (OTHER, OTHER)
    assert outcomes_of(series_of(slot.series(), MAX_SERIES))["done"] == 1
