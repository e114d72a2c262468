"""Coroutines that submit: what one frame has, all of them learn at once."""

import asyncio
import signal
import threading

import pytest

import ttp
from queue_stats import queue_stats
from real_server import Server

COROUTINES = 20


async def together(task: ttp.Task[..., None]) -> list[object]:
    """What became of submits at the same time."""
    return await asyncio.gather(*(task.asubmit(n) for n in range(COROUTINES)), return_exceptions=True)


def test_coroutines_share_frames(app: ttp.App) -> None:
    task = app.remote("any")

    async def main() -> None:
        await task.asubmit(0)  # connected
        for _ in range(10):
            handles = await together(task)
            assert len({str(getattr(handle, "id", handle)) for handle in handles}) == COROUTINES

    asyncio.run(main())
    numbers = queue_stats(app)
    assert numbers.accepted == 10 * COROUTINES + 1
    assert numbers.frames < numbers.accepted / 4


def test_several_event_loops_and_threads_at_once(app: ttp.App) -> None:
    task = app.remote("any")
    handles: list[object] = []

    def loop() -> None:
        for _ in range(20):
            handles.extend(asyncio.run(together(task)))

    def thread() -> None:
        handles.extend([task.submit(n) for n in range(200)])

    threads = [threading.Thread(target=target) for target in (loop, thread, loop, thread)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert not [handle for handle in handles if isinstance(handle, BaseException)]
    assert len({handle.id for handle in handles}) == queue_stats(app).accepted == 2 * 20 * COROUTINES + 400  # type: ignore[attr-defined]


def test_none_is_told_that_a_task_was_accepted_which_may_not_be(any_server: Server) -> None:
    with ttp.App("plant", any_server.url, submit_timeout=0.5) as app:
        task = app.remote("any")
        task.submit(0)
        any_server.signal(signal.SIGSTOP)
        try:
            answers = asyncio.run(together(task))
        finally:
            any_server.signal(signal.SIGCONT)
        assert [type(answer) for answer in answers] == [ttp.ServerUnavailable] * COROUTINES
        app.flush(60)
        task.submit(1)


def test_a_loop_that_ends_before_the_answer_harms_no_other(any_server: Server) -> None:
    with ttp.App("plant", any_server.url, submit_timeout=60.0) as app:
        task = app.remote("any")
        task.submit(0)

        async def leave() -> None:
            waiting = asyncio.create_task(task.asubmit(1))
            await asyncio.sleep(0)  # it has appended, and waits
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting

        any_server.signal(signal.SIGSTOP)
        try:
            asyncio.run(leave())
        finally:
            any_server.signal(signal.SIGCONT)
        task.submit(2)
        app.flush(60)
        assert queue_stats(app).accepted == 3
