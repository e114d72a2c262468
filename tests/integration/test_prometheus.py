"""A real Prometheus scrapes real workers, and finds names, rules and totals in order."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import ttp
from http_worker import get, http_command, http_worker, until
from real_prometheus import DEPLOY, PROMETHEUS, Prometheus
from real_server import Server

DASHBOARD = json.loads((DEPLOY / "grafana" / "ttp.json").read_text())
DOCS = DEPLOY.parent / "docs" / "metrics.md"
PROMTOOL = shutil.which("promtool")

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(
        not (PROMETHEUS and PROMTOOL), reason="no prometheus and promtool here (Debian: apt install prometheus)"
    ),
]


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


def listed() -> dict[str, set[str]]:
    """The metrics of docs/metrics.md with their labels."""
    out: dict[str, set[str]] = {}
    for line in DOCS.read_text().splitlines():
        if line.startswith("| `ttp_"):
            _, names, labels, *_ = (cell.strip() for cell in line.split("|"))
            out |= {name: {*labels.split(", ")} - {""} for name in re.findall(r"`(\w+)`", names)}
    return out


def scraped(prometheus: Prometheus) -> dict[str, set[str]]:
    """The metrics that Prometheus has with their labels; not what its rules made of them."""
    out: dict[str, set[str]] = {}
    for labels in prometheus.series('{__name__=~"ttp_.*",job="ttp"}'):
        name = re.sub("_(bucket|count|sum|created)$", "", labels.pop("__name__"))
        if ":" not in name:
            out.setdefault(name, set()).update(labels.keys() - {"job", "instance", "le"})
    return out


def test_prometheus_reads_what_was_done(any_server: Server, tmp_path: Path) -> None:
    simulate = "simulate", "--app", "fleet", "--queue", "events", "--rate", "50", "--url", any_server.url
    with (
        http_worker(any_server.url, "--processes", "2", "--threads", "2") as port,
        http_command(*simulate) as fleet,
        ttp.App("plant", any_server.url) as app,
    ):
        prometheus = Prometheus(tmp_path, port, fleet)
        queue = 'queue="default"'
        try:
            until(lambda: get(port, "/readyz")[0] == 200)
            until(lambda: prometheus.value("min(ttp_server_up)") == 1)
            for n in range(2000):
                app.remote("fine").emit(n)
            app.remote("fails").emit()
            app.remote("hostile").emit()
            app.flush()
            done = 'ttp_tasks_executed_total{task="fine",outcome="done"}'
            until(lambda: prometheus.value(done) == 2000)
            until(lambda: prometheus.value(f'ttp_queue_finished_total{{{queue},outcome="dead"}}') == 1)
            until(lambda: prometheus.value(f'ttp_queue_finished_total{{{queue},outcome="done"}}') == 2000)
            assert prometheus.value(f"ttp_queue_accepted_total{{{queue}}}") == 2002
            assert prometheus.ask('ttp_tasks_executed_total{task=~"<script>.*"}'), "a hostile name is a label"
            until(lambda: prometheus.value("sum(ttp_producer_accepted_total)"))
            every = [expression for panel in DASHBOARD["panels"] for expression in expressions(panel)]
            assert len(every) > 30
            for expression in every:
                until(lambda expression=expression: prometheus.ask(expression))  # type: ignore[misc]
            for each in (port, fleet):
                promtool("check", "metrics", given=get(each, "/metrics")[1])
            until(lambda: scraped(prometheus).keys() >= listed().keys())
            assert scraped(prometheus) == listed()
        finally:
            prometheus.process.kill()
            prometheus.process.wait()
