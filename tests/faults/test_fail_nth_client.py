"""Allocations of the client fail once, each in turn: nothing is lost, doubled or leaked, and all goes on.

`failing_client.py`, in a process of its own, since CPython itself makes them fail.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ttp.native import BACKEND

HERE = Path(__file__).parent
STEP = 3  # each third: some 200 allocations


@pytest.mark.timeout(120)
@pytest.mark.skipif(BACKEND != "native", reason="the twin takes memory in the midst of what the native core does whole")
@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi")
def test_a_producer_survives_each() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(HERE / "failing_client.py"), str(STEP)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
