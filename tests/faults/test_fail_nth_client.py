"""Allocations of CPython's fail once, each in turn: nothing is lost, doubled or leaked, and nothing hangs.

In processes of their own: `failing_producer.py` and `failing_worker.py`, which take more of them when run by hand.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ttp.native import BACKEND

HERE = Path(__file__).parent

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(BACKEND != "native", reason="the twin takes memory in the midst of what the core does whole"),
    pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi"),
]


def run(script: str, *arguments: int) -> int:
    """Run a script: how many allocations failed, or how many processes died of one."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_a_producer_goes_on() -> None:
    """Each third allocation while it submits, emits and flushes."""
    assert run("failing_producer.py", 3) > 50


def test_a_worker_goes_on_or_ends_and_others_take_over() -> None:
    """From its first connection to its end; with one thread, with two, and with an event loop."""
    assert run("failing_worker.py", 10, 6000, 160) > 3
