"""What a group of processes holds in memory: pages that they share count once in `alone`, and in each in `rss`."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import psutil
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
MB = 1_000_000

pytestmark = [
    pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="no benchmarks here"),
    pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="this system has no smaps"),
]

FORKED = """
import os, sys
held = b"x" * 40_000_000
if os.fork() == 0:
    print("ready", flush=True)
    sys.stdin.readline()
    os._exit(0)
os.wait()
"""
MAPPED = """
import mmap, sys
with open(sys.argv[1], "r+b") as file:
    held = mmap.mmap(file.fileno(), 0)
held[:] = b"x" * len(held)
print("ready", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def footprint(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module, found as its own scripts find it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("footprint")


@contextmanager
def running(code: str, *arguments: str) -> Iterator[psutil.Process]:
    """A program that has said that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield psutil.Process(process.pid)
    finally:
        process.communicate("\n")


def test_what_a_fork_shares_counts_once(footprint: ModuleType) -> None:
    with running(FORKED) as process:
        held = footprint.footprint(footprint.family(process))
    assert held["processes"] == 2
    assert 40 < held["alone"] < 75, "40 MB and an interpreter"
    assert held["rss"] > held["alone"] + 35
    assert held["uss"] < 35


def test_one_process_alone_needs_what_is_resident(footprint: ModuleType) -> None:
    with running("print('ready', flush=True); input()") as process:
        held = footprint.footprint([process])
    assert held["alone"] == pytest.approx(held["rss"], rel=0.02)
    assert held["pss"] <= held["rss"]


def test_a_file_may_be_left_out(footprint: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "marks"
    path.write_bytes(bytes(20 * MB))
    with running(MAPPED, str(path)) as process:
        everything = footprint.footprint([process])
        without = footprint.footprint([process], without=[path])
    assert everything["rss"] - without["rss"] == pytest.approx(20, abs=0.1)
    assert everything["alone"] - without["alone"] == pytest.approx(20, abs=0.1)
