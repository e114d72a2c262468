"""A worker one of whose own threads fails: it ends with what failed, and another runs what it had in hand."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import ttp
from failing_first import failing_first
from real_server import Server
from ttp.worker import runners
from ttp.worker.commits import Committer
from ttp.worker.line import Line
from ttp.worker.watchdog import Watchdog

pytestmark = pytest.mark.timeout(30)  # a worker that does not notice never ends


@pytest.mark.parametrize(
    ("owner", "name"), [(Committer, "answer"), (runners, "run_slices")], ids=["committer", "handlers"]
)
def test_a_thread_without_memory(app: ttp.App, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> None:
    task = app.task(name="square")(lambda n: n * n)
    handle = task.submit(3)
    monkeypatch.setattr(owner, name, failing_first(getattr(owner, name)))
    with pytest.raises(MemoryError, match="the first time"):
        ttp.WorkerPool(app, threads=2).run(burst=True)
    ttp.WorkerPool(app, threads=2, lease=0.1).run(burst=True)
    assert handle.result(10) == 9


def test_a_committer_without_memory_for_a_frame_that_runs_alone(
    any_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ttp.App("plant", any_server.url) as app:
        task = app.task(name="square")(lambda n: n * n)
        handle = task.submit(3)
        for _ in range(2):  # what one worker fails over, the next runs alone
            monkeypatch.setattr(Line, "call_many", failing_first(Line.call_many, thread="ttp-committer"))
            with pytest.raises(MemoryError, match="the first time"):
                ttp.WorkerPool(app, threads=2, lease=0.1).run(burst=True)
        ttp.WorkerPool(app, threads=2, lease=0.1).run(burst=True)
        assert handle.result(10) == 9


def test_an_idle_worker_whose_watchdog_has_no_memory(app: ttp.App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.task(name="idle")(lambda: None)
    monkeypatch.setattr(Watchdog, "_work", failing_first(Watchdog._work))
    with pytest.raises(MemoryError, match="the first time"):
        ttp.WorkerPool(app).run()


def test_an_event_loop_that_is_told_to_exit(server: Server) -> None:
    ended: list[str] = []
    exits = [sys.exit]

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[str]:
        yield "resource"
        ended.append("resource")

    with ttp.App("plant", server.url, lifespan=lifespan) as app:

        @app.task
        async def square(n: int) -> int:
            if exits:
                asyncio.get_running_loop().call_soon(exits.pop(), "not its to say")
                await asyncio.Event().wait()
            return n * n

        handle = square.submit(3)
        with pytest.raises(SystemExit, match="not its to say"):
            ttp.WorkerPool(app).run(burst=True)
        assert ended == ["resource"]
        ttp.WorkerPool(app, lease=0.1).run(burst=True)
        assert handle.result(10) == 9
