"""Faults of worker processes: killed, stopped for a while, or killed by their own handlers."""

import signal
import subprocess
import time
from functools import partial

from ttp.chaos.fleet import spawn
from ttp.chaos.report import Report
from ttp.chaos.run import Run
from ttp.chaos.worker_process import DOWN
from ttp.coordination import discovery
from ttp.coordination.server_binary import ServerBinary

STALL = 2.0  # seconds
SPIN = 20_000  # turns of a loop in every task, where workers are hit: all have work all the time
FOR_EVER = 1 << 30  # rows of a source


def kill_worker(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """SIGKILL of a worker that has frames in hand; recovered when all of them are committed."""
    at_once, workers = _crowd(count)
    with Run("kill-worker", binary, tasks=tasks, seed=seed, count=count, workers=workers, spin=SPIN) as run:
        feeder = run.feed()
        while run.report.injected < count:
            killed = []
            for place in run.rng.sample(range(workers), min(at_once, count - run.report.injected)):
                _busy(run, place)
                begun = time.monotonic()
                if entries := run.pending(run.fleet.kill(place)):
                    killed.append((begun, entries))
            _recovered(run, killed)
        feeder.finish()
        return run.judge()


def _crowd(count: int) -> tuple[int, int]:
    """How many workers are hit at once, and how many there are: half of them live on."""
    at_once = 4 if count >= 100 else 1
    return at_once, 2 * at_once


def _recovered(run: Run, hit: list[tuple[float, list[str]]]) -> None:
    """Wait until others have committed all that each of these workers had in hand when it was hit."""
    for begun, entries in hit:
        run.wait("its frames taken over", partial(run.committed, entries))
        run.report.recoveries.append(time.monotonic() - begun)
        run.report.injected += 1


def pause_worker(binary: ServerBinary, tasks: int, seed: int, count: int) -> Report:
    """SIGSTOP beyond `stall`: others commit its frames, and what it commits when it goes on is refused."""
    at_once, workers = _crowd(count)
    with Run(
        "pause-worker", binary, tasks=tasks, seed=seed, count=count, workers=workers, stall=STALL, spin=SPIN
    ) as run:
        feeder = run.feed()
        while run.report.injected < count:
            paused, stopped = [], []
            try:
                for place in run.rng.sample(range(workers), min(at_once, count - run.report.injected)):
                    worker = run.fleet.workers[place]
                    _busy(run, place)
                    stopped.append(worker)
                    worker.send_signal(signal.SIGSTOP)
                    begun = time.monotonic()
                    if entries := run.pending(worker.pid):
                        paused.append((begun, entries))
                _recovered(run, paused)
            finally:
                for worker in stopped:
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
            run.wait("closed breakers", lambda: not _tripped(run))
            down.touch()
            run.wait("a breaker that opened", partial(_tripped, run))
            run.report.injected += 1
            begun, ended = time.monotonic(), run.ended()
            down.unlink()
            run.recovered_after(begun, ended)
        feeder.finish()
        report = run.judge()
        if not run.deferred:
            report.problems.append("the breaker put no task off")
        return report


def _tripped(run: Run) -> bool:
    """Whether a worker's last report, of the last second, says that its breaker has opened and not closed since."""
    run.ended()
    reports = [worker.report for worker in discovery.workers(run.look, [run.keys])]
    return any(state != "closed" for report in reports for state in report.get("breakers", {}).values())


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
