"""What the report says of other task queues, and of hot spots: the fair pairs, and no number that a run lacks."""

import copy
import importlib
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PUBLISHED = BENCHMARKS / "results" / "published" / "bench.json"

pytestmark = pytest.mark.skipif(not PUBLISHED.exists(), reason="no committed run of the benchmarks here")


@pytest.fixture(autouse=True)
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules are found as their own scripts find them."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))


@pytest.fixture
def tables() -> ModuleType:
    return importlib.import_module("peer_tables")


@pytest.fixture
def hot_spots() -> ModuleType:
    return importlib.import_module("hot_spots")


def peer(name: str, memory: tuple[float, float], **more: Any) -> dict[str, Any]:
    """One that ran."""
    one, two = (dict.fromkeys(("alone", "pss", "rss", "uss"), mb) for mb in memory)
    return {
        "name": name,
        "version": "1.0",
        "single": 1_000.0,
        "bulk": None,
        "bytes_per_task": 300.0,
        "bytes_in_bulk": None,
        "drain": 1_000.0,
        "drain_results": 900.0,
        "memory": memory[0],
        "workers": [
            {"name": "one process", "drain": 1_000.0, "processes": 1, **one},
            {"name": "two processes", "drain": 2_000.0, "processes": 3, **two},
        ],
        "latency": {"holds": True, "p99": 1.0, "executed_rate": 1_000.0},
        "kill": {"lost": 0, "doubled": 0, "seconds": 6.0},
        **more,
    }


def cells(table: str, row: str) -> list[str]:
    """The cells of the row that begins so."""
    line = next(line for line in table.splitlines() if line.startswith(f"| {row}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_memory_is_compared_with_celery_in_each_way(tables: ModuleType) -> None:
    ours, celery = peer("ttp", (30.0, 60.0)), peer("celery", (70.0, 100.0))
    shown = tables.targets({"peers": [ours, celery]})
    assert cells(shown, "memory: one process, of Celery's default")[2:] == [
        "0.30 (pss 0.30, rss 0.30, uss 0.30)",
        "yes",
    ]
    assert cells(shown, "memory: one process, of Celery's parent and one child")[3] == "**no**"
    assert cells(shown, "memory: two processes")[2].startswith("0.60")


def test_who_falls_behind_cannot_hold_the_rate(tables: ModuleType) -> None:
    behind = peer("celery", (70.0, 100.0), latency={"holds": False, "p99": 700.0, "executed_rate": 828.0})
    assert "can't hold it (828/s)" in cells(tables.peers({"peers": [behind]}), "celery")


def test_a_call_that_buffers_stands_beside_the_bulk_calls(tables: ModuleType) -> None:
    emit = peer("ttp emit", (30.0, 60.0), single=None, bulk=3e6, bytes_per_task=None, bytes_in_bulk=10.0)
    row = cells(tables.peers({"peers": [emit]}), "ttp emit")
    assert row[1:3] == ["none", "3.00 M/s"]
    assert "10 B in bulk" in row


def test_one_that_did_not_run_says_why(tables: ModuleType) -> None:
    broken = {"name": "huey", "error": "no such command"}
    assert "did not run: no such command" in tables.peers({"peers": [broken]})
    assert tables.targets({"peers": [broken]}) == ""


def hot_spot(folder: Path, numbers: list[str]) -> None:
    """One that is kept: emit became twice as fast."""
    run = json.loads(PUBLISHED.read_text())
    before = copy.deepcopy(run)
    before["throughput"]["native"]["rate"] /= 2
    about = {"title": "A lock", "found": "Seen in the stages.", "fixed": "Gone.", "parts": "throughput"}
    folder.mkdir()
    for name, data in (("before", before), ("after", run), ("about", about | {"numbers": numbers})):
        (folder / f"{name}.json").write_text(json.dumps(data))


def test_a_hot_spot_shows_both_numbers_and_how_to_get_them(hot_spots: ModuleType, tmp_path: Path) -> None:
    hot_spot(tmp_path / "lock", ["throughput · native · rate"])
    (spot,) = hot_spots.load(tmp_path)
    section = spot.section()
    assert cells(section, "throughput · native · rate")[3] == "2.00 ×"
    assert "results/hot-spots/lock/before.json" in section
    assert re.search(r"hot_spots.py lock \w+ \w+ --only throughput", section)


def test_a_hot_spot_without_its_number_is_refused(hot_spots: ModuleType, tmp_path: Path) -> None:
    hot_spot(tmp_path / "lock", ["throughput · no such · rate"])
    with pytest.raises(ValueError, match="lock: not in both runs: throughput · no such · rate"):
        hot_spots.load(tmp_path)[0].section()


def test_kept_hot_spots_are_better_than_before(hot_spots: ModuleType) -> None:
    for spot in hot_spots.load():
        assert spot.before["environment"]["commit"] != spot.after["environment"]["commit"], spot.name
        assert all(change.ratio > 1 for change in spot.changes()), spot.name


def test_only_what_is_not_held_is_measured_by_something() -> None:
    limits = importlib.import_module("limits")
    run = json.loads(PUBLISHED.read_text())
    run["throughput"]["native"]["rate"] = run["throughput"]["bare_loop"]
    run["results"]["submit_64"]["rate"] = 1.0
    said = limits.limits(run)
    assert "no-op tasks" not in said
    assert "*submit from 64 threads*: 64 threads that only hand locks" in said


def test_a_third_of_celery_stands_beside_what_a_client_takes_anyway() -> None:
    limits = importlib.import_module("limits")
    run = {"memory": {"parts": [{"what": "redis-py and hiredis", "alone": 34.4}]}}
    said = limits.beside_celery(run, {"peers": [peer("celery", (66.0, 90.0))]})
    assert "is 22 or 30 MB" in said
    assert "holds 34 MB" in said
    assert limits.beside_celery({"memory": {}}, {"peers": [peer("celery", (66.0, 90.0))]}) == ""
