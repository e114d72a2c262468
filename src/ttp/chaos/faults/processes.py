"""Faults of worker processes: killed, stopped for a while, or killed by their own handlers."""

import signal
import subprocess
import time
from functools import partial

from ttp.chaos.fleet import spawn
from ttp.chaos.report import Report
from ttp.chaos.run import Run
from ttp.chaos.worker_process import DOWN
from ttp.coordination.server_binary import ServerBinary

STALL = 2.0  # seconds
FOR_EVER = 1 << 30  # rows of a source
MIN_CALLS = 20  # of which half must fail before a breaker opens


def kill_worker(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """SIGKILL of a worker that has frames in hand; recovered when all of them are committed."""
    with Run("kill-worker", binary, tasks=tasks, seed=seed, count=count) as run:
        feeder = run.feed()
        for _ in range(count):
            place = run.rng.randrange(len(run.fleet.workers))
            _busy(run, place)
            begun = time.monotonic()
            entries = run.pending(run.fleet.kill(place))
            run.report.injected += bool(entries)
            run.wait("its frames taken over", partial(run.committed, entries))
            run.report.recoveries.append(time.monotonic() - begun)
        feeder.finish()
        return run.judge()


def pause_worker(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """SIGSTOP beyond `stall`: others commit its frames, and what it commits when it goes on is refused."""
    with Run("pause-worker", binary, tasks=tasks, seed=seed, count=count, stall=STALL) as run:
        feeder = run.feed()
        while run.report.injected < count:
            place = run.rng.randrange(len(run.fleet.workers))
            worker = run.fleet.workers[place]
            _busy(run, place)
            worker.send_signal(signal.SIGSTOP)
            begun = time.monotonic()
            try:
                if not (entries := run.pending(worker.pid)):
                    continue
                run.wait("its frames taken over", partial(run.committed, entries))
                run.report.recoveries.append(time.monotonic() - begun)
                run.report.injected += 1
            finally:
                worker.send_signal(signal.SIGCONT)
        feeder.finish()
        report = run.judge()
        if report.fenced < count:
            report.problems.append(f"{report.fenced} stale commits seen refused, not {count}")
        return report


def kill_producer(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """SIGKILL of a named producer in the midst of its sending: each row of its source arrives once.

    Its successor goes on with the first row that the server does not have, whether the dead one had heard of it or
    not. Recovered with the successor's first accepted batch.
    """
    with Run("kill-producer", binary, tasks=tasks, seed=seed, count=count) as run:
        for _ in range(count):
            begun = time.monotonic()
            with _producer(run, FOR_EVER) as producer:
                try:
                    run.accepted_more(1)
                    if run.report.injected:
                        run.report.recoveries.append(time.monotonic() - begun)
                    run.accepted_more(run.rng.randint(1, 500))
                finally:
                    producer.kill()
            run.report.injected += 1
        run.next_number = max(tasks, *run.ledger.read("tried")) + 1
        with _producer(run, run.next_number) as last:
            run.wait("the last producer at its end", lambda: run.ended() >= 0 and last.poll() is not None)
        if missing := set(range(run.next_number)) - run.ledger.read("accepted"):
            run.report.problems.append(f"{len(missing)} rows of the source are not accepted")
        return run.judge()


def _producer(run: Run, stop: int) -> "subprocess.Popen[bytes]":
    return spawn("ttp.chaos.producer_process", str(run.app.url), run.directory, stop)


def dependency_down(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """What the handlers call is down: the breaker opens, tasks are put off, and none fails for good."""
    with Run("breaker", binary, tasks=tasks, seed=seed, count=count) as run:
        down = run.directory / DOWN
        feeder = run.feed()
        for _ in range(count):
            run.wait_for_work()
            down.touch()
            goal = run.stats().retried + MIN_CALLS
            run.wait("failed calls", partial(_failed, run, goal))
            run.report.injected += 1
            begun, ended = time.monotonic(), run.ended()
            down.unlink()
            run.recovered_after(begun, ended)
        feeder.finish()
        report = run.judge()
        if not run.deferred:
            report.problems.append("the breaker put no task off")
        return report


def _failed(run: Run, goal: int) -> bool:
    run.ended()
    return run.stats().retried >= goal


def poison(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """Handlers that abort their process: each is a dead letter after at most three deaths, its neighbours finish."""
    every = max(2, tasks // count)
    with Run("poison", binary, tasks=tasks, seed=seed, count=count, poison=every) as run:
        run.going_on = False
        feeder = run.feed()
        feeder.finish()
        run.wait("every poisonous task is dead", lambda: run.stats().dead >= run.report.tasks // every)
        run.report.injected = run.report.tasks // every
        deaths = run.fleet.deaths
        report = run.judge(dead=run.report.injected)
        if not report.injected <= deaths <= 3 * report.injected:
            report.problems.append(f"{deaths} workers died over {report.injected} tasks")
        return report


def _busy(run: Run, place: int) -> None:
    """Wait until a worker has frames in hand."""
    pid = run.fleet.workers[place].pid
    run.wait("a worker with frames in hand", lambda: run.ended() >= 0 and bool(run.pending(pid)))
