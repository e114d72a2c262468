"""A worker process of `ttp demo`: the tasks of a telemetry platform, no-ops, and its numbers in a file."""

import json
import os
import sys
import threading
from pathlib import Path

from ttp.app import App
from ttp.policy import RetryPolicy
from ttp.producer import LocalTask
from ttp.telemetry.handlers.platform import telemetry_tasks
from ttp.telemetry.sinks.sqlite import SqliteSink
from ttp.worker.pool import WorkerPool

REPORT_EVERY = 0.25  # seconds


def demo_app(directory: Path) -> App:
    """The demo's app, with all its handlers."""
    app = App("demo")
    telemetry_tasks(app, SqliteSink(directory / "demo.sqlite"))
    noop_task(app)
    return app


def noop_task(app: App) -> LocalTask[[int], None]:
    """Register the task of the burst; it has a retry policy and a timeout as a real one would."""

    @app.task(name="demo.noop", queue="burst", retry=RetryPolicy(max_attempts=5), timeout=10.0)
    def noop(number: int) -> None: ...

    return noop


def main() -> None:
    """Run until standard input ends. The arguments are the demo's directory and the queue to serve."""
    directory = Path(sys.argv[1])
    app = demo_app(directory)
    pool = WorkerPool(app, queues=[sys.argv[2]])
    ended = threading.Event()

    def report() -> None:
        import psutil  # noqa: PLC0415

        process = psutil.Process()
        final = directory / f"worker-{os.getpid()}.json"
        while True:
            over = ended.wait(REPORT_EVERY)
            if pool.ready.is_set() and pool.worker is not None:
                numbers = {"rss": process.memory_info().rss, "wait": pool.worker.stats.wait.counts()}
                final.with_suffix(".new").write_text(json.dumps(numbers))
                final.with_suffix(".new").rename(final)
            if over:
                return

    def follow() -> None:
        os.read(sys.stdin.fileno(), 1)
        pool.stop()

    threading.Thread(target=follow, name="ttp-follow", daemon=True).start()
    reporter = threading.Thread(target=report, name="demo-report")
    reporter.start()
    try:
        pool.run()
    finally:
        ended.set()
        reporter.join()
        app.close()


if __name__ == "__main__":
    main()
