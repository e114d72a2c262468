"""A pool of processes that is told to stop at the worst of times."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from real_server import Server

pytestmark = pytest.mark.once

SCRIPT = """
    import os
    import signal
    import ttp

    app = ttp.App("plant", TTP_URL)

    @app.task
    def nothing() -> None:
        pass

    forks = iter("12")

    def stop() -> None:
        if next(forks) == "2":  # the parent has not heard of its second child yet
            os.kill(os.getpid(), signal.SIGTERM)

    os.register_at_fork(after_in_parent=stop)
    ttp.WorkerPool(app, processes=2).run()
"""


def test_a_child_that_is_born_meanwhile_is_stopped_too(any_server: Server, tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(textwrap.dedent(SCRIPT).replace("TTP_URL", repr(any_server.url)))
    pool = subprocess.Popen([sys.executable, script], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        assert pool.wait(60) == 0
    finally:
        pool.kill()
        pool.wait()
