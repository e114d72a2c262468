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


FORKS = """
    import os
    import signal
    import ttp

    app = ttp.App("plant", TTP_URL)

    @app.task
    def nothing() -> None:
        pass

    def held() -> set[int]:
        return {signal.SIGTERM, signal.SIGINT} & signal.pthread_sigmask(signal.SIG_BLOCK, ())

    at_forks = []
    os.register_at_fork(before=lambda: at_forks.append(len(held())))
    ttp.WorkerPool(app, processes=2).run(burst=True)
    assert (at_forks, held()) == ([2, 2], set()), (at_forks, held())
"""


def test_signals_are_held_back_while_a_child_is_made(any_server: Server, tmp_path: Path) -> None:
    """One that reached it before CPython has put it in order would be dropped, and the child would never stop."""
    script = tmp_path / "forks.py"
    script.write_text(textwrap.dedent(FORKS).replace("TTP_URL", repr(any_server.url)))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], env=environment, timeout=60, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_a_child_that_is_born_meanwhile_is_stopped_too(any_server: Server, tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(textwrap.dedent(SCRIPT).replace("TTP_URL", repr(any_server.url)))
    pool = subprocess.Popen([sys.executable, script], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        assert pool.wait(60) == 0
    finally:
        pool.kill()
        pool.wait()
