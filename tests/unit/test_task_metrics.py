"""The metrics of a pool's tasks: what parsers read from their text is what the scoreboard counted."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

from ttp.observability.labels import label
from ttp.observability.task_metrics import TaskMetrics
from ttp.worker.scoreboard import BOUNDS, OTHER, OUTCOMES, STAGES, Layout, Scoreboard

HOSTILE = '100 % "<script>"\\ \n\x1b[31m\u202e' + "x" * 1_000_000


@pytest.mark.parametrize(("read", "end"), [(prometheus, ""), (open_metrics, "# EOF\n")])
def test_all_processes_are_summed_up(read: object, end: str) -> None:
    board = Scoreboard(Layout(2, ((HOSTILE, "q"), ("idle", "q"), (OTHER, OTHER)), ()))
    for slot in board.slots():
        slot.observe(HOSTILE, "run", 0.002, 5)
        slot.observe(HOSTILE, "run", 100.0, 1)
    metrics = TaskMetrics(board)
    text = metrics.text(openmetrics=bool(end)).decode()
    assert text == metrics.text(openmetrics=bool(end)).decode()
    families = {family.name: family for family in read(text + end)}  # type: ignore[operator]
    counters = {name: families.pop(name) for name in ("ttp_tasks_executed", "ttp_tasks_deferred")}
    assert all(family.type == "counter" and family.documentation for family in counters.values())
    assert set(families) == {f"ttp_task_{stage}_seconds" for stage in STAGES}
    assert all(family.type == "histogram" and family.documentation for family in families.values())
    samples = families["ttp_task_run_seconds"].samples
    assert sum(len(family.samples) for family in families.values()) == len(samples) == len(BOUNDS) + 3
    assert {(s.labels["task"], s.labels["queue"]) for s in samples} == {(label(HOSTILE), "q")}
    buckets = [(s.labels["le"], s.value) for s in samples if s.name.endswith("_bucket")]
    at = BOUNDS.index(0.0025)
    assert buckets[at - 1 : at + 1] == [("0.001", 0), ("0.0025", 10)]
    assert buckets[-2:] == [("60.0", 10), ("+Inf", 12)]
    ends = {s.name.rpartition("_")[2]: s.value for s in samples[-2:]}
    assert ends == {"count": 12, "sum": pytest.approx(200.02)}
    assert len(text) < 10_000


def test_each_number_that_changes_is_seen() -> None:
    board = Scoreboard(Layout(2, (("a", "q"), ("b", "r"), (OTHER, OTHER)), ()))
    metrics = TaskMetrics(board)

    def outcomes() -> dict[tuple[str, str], float]:
        families = {family.name: family for family in prometheus(metrics.text(openmetrics=False).decode())}
        executed = families["ttp_tasks_executed"].samples
        put_off = families["ttp_tasks_deferred"].samples
        return {(s.labels["task"], s.labels.get("outcome", "deferred")): s.value for s in (*executed, *put_off)}

    assert outcomes() == {(task, name): 0 for task in "ab" for name in OUTCOMES}
    for number, name in enumerate(OUTCOMES):
        for slot in board.slots():
            slot.count("b", name, number + 1)
        assert outcomes()["b", name] == 2 * (number + 1)
    board.slot(1).count("unknown", "dead", 3)
    assert outcomes() == {
        **{("a", name): 0 for name in OUTCOMES},
        **{("b", name): 2 * (number + 1) for number, name in enumerate(OUTCOMES)},
        **{(OTHER, name): 3 * (name == "dead") for name in OUTCOMES},
    }
