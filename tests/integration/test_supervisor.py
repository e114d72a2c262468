"""A pool of processes: told to stop at the worst of times, or with settings that are none."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import ttp
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


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_what_cannot_be_imported_is_named_before_anything_is_forked(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "plant.py").write_text('import ttp\napp = ttp.App("plant", imports=["tasks"])\n')
    (tmp_path / "tasks.py").write_text("import no_such_module\n")
    command = [sys.executable, "-m", "ttp", "worker", "plant:app", *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TTP_EMBEDDED": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "No module named 'no_such_module'" in done.stderr
    assert done.stderr.endswith("ttp worker: cannot import 'tasks'\n")


def test_queues_are_names(any_server: Server) -> None:
    with ttp.App("plant", any_server.url) as app:
        with pytest.raises(TypeError, match=r"queues is a list of names, \['default'\], not 'default'"):
            ttp.WorkerPool(app, queues="default")
        with pytest.raises(ValueError, match="queue"):
            ttp.WorkerPool(app, queues=["a b"])
