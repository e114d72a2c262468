"""One truth for a person on call: the API, `/metrics`, Prometheus and the page in Chromium show the same totals."""

from pathlib import Path

import pytest

import ttp
from http_worker import get, http_worker, samples, until
from queue_stats import queue_stats
from real_browser import Browser
from real_prometheus import NO_PROMETHEUS, PROMETHEUS, Prometheus
from real_server import Server
from status_page import StatusPage
from ttp.telemetry.hub import Fleet, FleetConfig

pytestmark = [pytest.mark.skipif(PROMETHEUS is None, reason=NO_PROMETHEUS), pytest.mark.once]

EVENTS = 3000


def executed(port: int, outcome: str) -> float:
    """Tasks of all names that came to this, by the workers' own count."""
    metrics = samples(get(port, "/metrics")[1])
    return sum(
        n
        for (name, labels), n in metrics.items()
        if name == "ttp_tasks_executed_total" and ("outcome", outcome) in labels
    )


def test_all_show_the_same_and_a_click_retries(any_server: Server, browser: Browser, tmp_path: Path) -> None:
    with (
        http_worker(any_server.url, "--processes", "2") as port,
        StatusPage(any_server.url, "--allow-actions") as page,
        ttp.App("plant", any_server.url) as app,
    ):
        until(lambda: get(port, "/readyz")[0] == 200)
        prometheus = Prometheus(tmp_path, port)
        try:
            browser.look(1200, 900)
            browser.open(page.url)
            fine = app.remote("fine")
            now = iter(range(1, 10**9))
            fleet = Fleet(FleetConfig(devices=50, rate=1000.0, count=EVENTS), clock=lambda: next(now))
            sent = 0
            while fleet.next_due is not None:
                for event in fleet.due():
                    fine.emit(event.sequence)
                    sent += 1
            dead = app.remote("refuses").submit("<b>this</b>")
            app.flush()
            assert sent == EVENTS

            def totals_are(done: int, buried: int) -> None:
                until(lambda: prometheus.value('ttp_queue_finished_total{outcome="done"}') == done)
                until(lambda: prometheus.value('ttp_queue_finished_total{outcome="dead"}') == buried)
                until(lambda: prometheus.value('sum(ttp_tasks_executed_total{outcome="dead"})') == buried)
                until(lambda: executed(port, "done") == done)
                assert executed(port, "dead") == buried
                seen = queue_stats(app)
                assert (seen.done, seen.dead, seen.tasks) == (done, buried, 0)
                row = "[...document.querySelectorAll('#queues tbody td')].map(cell => cell.textContent)"
                browser.wait(f"{row}[5] === '{done:,}' && {row}[6] === '{buried}'")
                assert page.state(lambda state: state["totals"]["dead"] == buried)["totals"]["done"] == done

            totals_are(EVENTS, 1)
            browser.wait("document.querySelectorAll('#workers tbody tr').length === 2")
            browser.click("#letters summary")
            browser.click(".letter .retry")
            browser.wait("document.querySelector('#said').textContent.includes('back in its queue')")
            totals_are(EVENTS, 2)  # it fails once more, and is a dead letter again
            assert [letter.id for letter in app.dead_letters()] == [dead.id]
            assert browser.errors == []
        finally:
            prometheus.process.kill()
            prometheus.process.wait()
        assert page.stop() == 0
