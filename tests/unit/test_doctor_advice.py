"""What the doctor says of facts that no test server shows at will."""

from typing import Any

from ttp.coordination.discovery import WorkerSeen
from ttp.coordination.durability import Settings
from ttp.coordination.examination import Facts
from ttp.coordination.keys import Keys
from ttp.observability.doctor import examine_fleet, examine_server

GOOD = Settings(appendonly=True, appendfsync="everysec", replicas=0, waitaof=True)


def facts(**changes: Any) -> Facts:
    usual: dict[str, Any] = {
        "server": "valkey 9.1.0",
        "role": "master",
        "policy": "noeviction",
        "maxmemory": 0,
        "used": 2**20,
        "durability": GOOD,
        "write_error": False,
        "round_trips": [0.0001] * 50,
        "offset": 0.0,
        "old": False,
    }
    return Facts(**usual | changes)


def bad(**changes: Any) -> dict[str, str]:
    """Name → verdict of all that is not ok."""
    return {f.name: f.verdict for f in examine_server(facts(**changes), "everysec") if f.verdict != "ok"}


def worker(name: str, report: dict[str, str], *, connected: bool = True) -> WorkerSeen:
    return WorkerSeen(name, Keys("plant", "q"), 1, connected, report)


def test_all_is_well() -> None:
    assert bad() == {}


def test_what_must_be_mended_and_what_should_be_known() -> None:
    assert bad(old=True) == {"version": "mend"}
    assert bad(offset=-90.0) == {"clock": "note"}
    assert bad(round_trips=[0.02] * 50) == {"latency": "note"}
    assert bad(write_error=True) == {"append-only file": "mend"}
    assert bad(policy=None, maxmemory=None) == {"eviction": "note", "memory": "note"}
    assert bad(durability=Settings(None, None, None, waitaof=False)) == {"durability": "note"}
    assert bad(durability=Settings(True, "no", 0, waitaof=True)) == {"durability": "mend"}


def test_workers_of_other_releases() -> None:
    same = {"version": "1.0", "core": "native", "wire": "1"}
    assert [f.verdict for f in examine_fleet([], [worker("a", same), worker("b", same)])] == ["ok"]
    mixed = examine_fleet([], [worker("a", same), worker("b", same | {"version": "1.1"})])
    assert [(f.verdict, f.found) for f in mixed] == [("note", "1 × ttp 1.0, native core; 1 × ttp 1.1, native core")]
    foreign = examine_fleet([], [worker("a", same), worker("b", same | {"wire": "2"})])
    assert (foreign[0].name, foreign[0].verdict) == ("wire", "mend")


def test_a_dead_worker_serves_nobody() -> None:
    findings = examine_fleet([("plant/q", 5, 0)], [worker("a", {}, connected=False)])
    assert {f.name: f.verdict for f in findings} == {"dead workers": "note", "queue plant/q": "mend"}
