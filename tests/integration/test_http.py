"""`ttp worker --http`: health and metrics of real workers."""

import json
import os
import shutil
import signal
import socket
import subprocess

import pytest

import ttp
from http_worker import get, http_worker, samples, start, until
from real_server import Server

HOSTILE = '<script>alert(1)</script>\\n\\x1b[31m\\\\ "quoted" '


def outcome(port: int, task: str, what: str) -> float:
    labels = (("outcome", what), ("queue", "default"), ("task", task))
    return samples(get(port, "/metrics")[1]).get(("ttp_tasks_executed_total", labels), 0.0)


@pytest.mark.parametrize("processes", [1, 2])
def test_totals_are_those_of_the_server(server: Server, processes: int) -> None:
    with http_worker(server.url, "--processes", str(processes)) as port, ttp.App("plant", server.url) as app:
        until(lambda: get(port, "/readyz")[0] == 200)
        for n in range(500):
            app.remote("fine").emit(n)
        app.remote("fails").emit()
        app.flush()
        until(lambda: (outcome(port, "fine", "done"), outcome(port, "fails", "dead")) == (500, 1))
        queue = (("queue", "default"),)
        until(lambda: samples(get(port, "/metrics")[1])["ttp_queue_dead_frames", queue] == 1)
        seen = samples(get(port, "/metrics")[1])
        assert seen["ttp_queue_accepted_total", queue] == 501
        assert seen["ttp_queue_tasks", queue] == seen["ttp_queue_oldest_age_seconds", queue] == 0
        assert seen["ttp_queue_finished_total", (("outcome", "done"), *queue)] == 500
        assert seen["ttp_tasks_executed_total", (("outcome", "retried"), *queue, ("task", "fails"))] == 1
        for stage in ("wait", "run", "commit", "total"):
            labels = (*queue, ("task", "fine"))
            assert seen[f"ttp_task_{stage}_seconds_count", labels] == 500
            assert seen[f"ttp_task_{stage}_seconds_bucket", (("le", "+Inf"), *labels)] == 500
        assert seen["ttp_breaker_processes", (("breaker", "db"), ("state", "closed"))] == processes
        names = {dict(labels)["task"] for name, labels in seen if name == "ttp_tasks_executed_total"}
        (hostile,) = [name for name in names if name.startswith(HOSTILE)]
        assert len(hostile) < 200, "a name of any length has a short label"
        assert get(port, "/livez")[0] == 200
        assert get(port, "/nothing")[0] == 404


def test_answers_while_handlers_keep_the_interpreter(server: Server) -> None:
    with http_worker(server.url) as port, ttp.App("plant", server.url) as app:
        until(lambda: get(port, "/readyz")[0] == 200)
        app.remote("busy").submit(2.0)
        in_hand = ("ttp_tasks_in_hand", ())
        until(lambda: samples(get(port, "/metrics")[1])[in_hand] == 1)
        for path in ("/livez", "/readyz", "/metrics"):
            assert get(port, path)[0] == 200
        assert samples(get(port, "/metrics")[1])[in_hand] == 1, "the handler still runs"


def test_readiness_follows_the_server(server: Server) -> None:
    with http_worker(server.url) as port:
        until(lambda: get(port, "/readyz")[0] == 200)
        server.stop()
        until(lambda: get(port, "/readyz")[0] == 503)
        assert "server does not answer" in until(lambda: [t for s, t in [get(port, "/readyz")] if "server" in t])[0]
        assert get(port, "/livez")[0] == 200
        assert samples(get(port, "/metrics")[1])["ttp_server_up", ()] == 0
        server.start()
        until(lambda: get(port, "/readyz")[0] == 200)


def test_counters_outlive_a_process(server: Server) -> None:
    with http_worker(server.url, "--processes", "2") as port, ttp.App("plant", server.url) as app:
        until(lambda: get(port, "/readyz")[0] == 200)
        app.remote("fine").submit(1)
        until(lambda: outcome(port, "fine", "done") == 1)
        connection = app.open_connection(5.0)
        names = [name for name in str(connection.call("CLIENT", "LIST")).split() if name.startswith("name=")]
        connection.close()
        pids = {int(name.split("-")[-2]) for name in names if name.count("-") >= 2}
        os.kill(min(pids), signal.SIGKILL)
        app.remote("fine").submit(2)
        until(lambda: outcome(port, "fine", "done") == 2)
        until(lambda: get(port, "/readyz")[0] == 200)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:x", "takes HOST:PORT"),
        ("203.0.113.1:9000", "cannot listen"),
        ("no.such.host.invalid:1", "no address"),
    ],
)
def test_bad_addresses_are_refused(address: str, said: str) -> None:
    process = start("unix:///nowhere", address)
    _, text = process.communicate(timeout=30)
    assert (process.returncode, said in text) == (2, True), text


def test_a_busy_port_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = start("unix:///nowhere", f"127.0.0.1:{taken.getsockname()[1]}")
        _, text = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "pick another port" in text


def test_no_server_is_alive_and_not_ready() -> None:
    with http_worker("unix:///nowhere/socket") as port:
        status, text = until(lambda: get(port, "/readyz"))
        assert status == 503
        assert "server does not answer" in text
        assert get(port, "/livez")[0] == 200


def test_a_failed_task_is_one_line_of_json_without_its_payload(server: Server) -> None:
    process = start(server.url, "0", "--log-format", "json", "--burst")
    with ttp.App("plant", server.url) as app:
        task_id = app.remote("refuses").submit("SECRET").id
    _, text = process.communicate(timeout=30)
    assert process.returncode == 0, text
    events = [json.loads(line) for line in text.splitlines()]
    (event,) = [event for event in events if event.get("task_id") == task_id]
    assert (event["level"], event["task"], event["attempt"], event["queue"]) == ("warning", "refuses", 1, "default")
    assert event["dead"] == 1
    assert event["worker"]
    assert "SECRET" not in text


# What follows it finds no directory for temporary files that can be written to.
_SHUT = """unset TMPDIR TEMP TMP
for d in /tmp /var/tmp /usr/tmp "$PWD"; do [ ! -d $d ] || { mount -B $d $d; mount -o remount,bind,ro $d; }; done
cd "$PWD"; exec "$@"
"""
READ_ONLY = ["unshare", "-rm", "sh", "-euc", _SHUT, "sh"]


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run([*READ_ONLY, "true"], capture_output=True, check=False).returncode != 0,
    reason="no mounts can be made here",
)
def test_a_read_only_file_system_is_enough(server: Server) -> None:
    with http_worker(server.url, before=READ_ONLY) as port:
        until(lambda: get(port, "/readyz")[0] == 200)
