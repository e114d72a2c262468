"""A real Prometheus scrapes real workers, and finds names, rules and totals in order."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ttp
from http_worker import get, http_worker, until
from real_prometheus import DEPLOY, PROMETHEUS, Prometheus
from real_server import BINARIES, Server

DASHBOARD = json.loads((DEPLOY / "grafana" / "ttp.json").read_text())
PROMTOOL = shutil.which("promtool")

pytestmark = pytest.mark.skipif(
    not (PROMETHEUS and PROMTOOL), reason="no prometheus and promtool here (Debian: apt install prometheus)"
)


@pytest.fixture
def plant() -> Iterator[Server]:
    """One server: which one does not matter here."""
    if not BINARIES:
        pytest.fail("no server program here")
    running = Server(BINARIES[0])
    try:
        running.start()
        yield running
    finally:
        running.remove()


def promtool(*arguments: str | Path, given: str | None = None) -> None:
    assert PROMTOOL is not None
    done = subprocess.run(
        [PROMTOOL, *arguments], input=given, capture_output=True, text=True, check=False, cwd=DEPLOY / "prometheus"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def expressions(panel: dict[str, Any]) -> list[str]:
    """What a panel asks, with Grafana's variables as it fills them in for "All"."""
    return [
        target["expr"].replace("$__rate_interval", "5s").replace("$task", ".*").replace("$queue", ".*")
        for target in panel["targets"]
    ]


def test_the_dashboard_is_what_its_code_makes() -> None:
    made = subprocess.run(
        [sys.executable, DEPLOY / "grafana" / "dashboard.py"], capture_output=True, text=True, check=True
    )
    assert json.loads(made.stdout) == DASHBOARD, "run deploy/grafana/dashboard.py > deploy/grafana/ttp.json"


def test_rules_do_what_they_say() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "ttp.rules.test.yml")


def test_prometheus_reads_what_was_done(plant: Server, tmp_path: Path) -> None:
    with http_worker(plant.url, "--processes", "2") as port, ttp.App("plant", plant.url) as app:
        prometheus = Prometheus(tmp_path, port)
        try:
            until(lambda: get(port, "/readyz")[0] == 200)
            until(lambda: prometheus.value("ttp_server_up") == 1)
            for n in range(2000):
                app.remote("fine").emit(n)
            app.remote("fails").emit()
            app.remote("hostile").emit()
            app.flush()
            done = 'ttp_tasks_executed_total{task="fine",outcome="done"}'
            until(lambda: prometheus.value(done) == 2000)
            until(lambda: prometheus.value('ttp_queue_finished_total{outcome="dead"}') == 1)
            until(lambda: prometheus.value('ttp_queue_finished_total{outcome="done"}') == 2000)
            assert prometheus.value("ttp_queue_accepted_total") == 2002
            assert prometheus.ask('ttp_tasks_executed_total{task=~"<script>.*"}'), "a hostile name is a label"
            every = [expression for panel in DASHBOARD["panels"] for expression in expressions(panel)]
            assert len(every) > 20
            for expression in every:
                until(lambda expression=expression: prometheus.ask(expression))  # type: ignore[misc]
            promtool("check", "metrics", given=get(port, "/metrics")[1])
        finally:
            prometheus.process.kill()
            prometheus.process.wait()
