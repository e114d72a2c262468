"""Every allocation of the native core, from a call to what a commit says of it, fails once.

Nothing is lost, doubled or leaked, and what failed may be tried again: `failing_cycle.py`, in a process of its own.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from ttp.native import BACKEND

HERE = Path(__file__).parent
COMPILER = shutil.which("c++")


@pytest.mark.skipif(BACKEND != "native", reason="the native core's allocations")
@pytest.mark.skipif(COMPILER is None or sys.platform != "linux", reason="needs a C++ compiler and LD_PRELOAD")
def test_each_fails_once(tmp_path: Path) -> None:
    assert COMPILER is not None
    library = tmp_path / "failing_allocator.so"
    headers = sysconfig.get_path("include")
    build: list[str | Path] = [
        COMPILER,
        "-std=c++17",
        "-shared",
        "-fPIC",
        f"-I{headers}",
        HERE / "failing_allocator.cpp",
        "-o",
        library,
    ]
    subprocess.run(build, check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command: list[str | Path] = [sys.executable, HERE / "failing_cycle.py", library]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30
