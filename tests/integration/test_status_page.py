"""`ttp ui` over HTTP: what it tells, whom it refuses, and what hostile input does to it."""

import json
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from real_server import Server
from status_page import StatusPage
from ttp import App, Reject, testing
from ttp.cli import main

pytest.importorskip("uvicorn", reason="no uvicorn here: install ttp[ui]")

Start = Callable[..., StatusPage]
HOSTILE = {"html": "<script>alert(1)</script>", "control": "\x00\x1b[2J\u202e", "long": "x" * 100_000}


@pytest.fixture
def start(any_server: Server) -> Iterator[Start]:
    """Starts a page; at the end each stops cleanly."""
    pages: list[StatusPage] = []
    with ExitStack() as stack:

        def run(*options: str) -> StatusPage:
            pages.append(stack.enter_context(StatusPage(any_server.url, *options)))
            return pages[-1]

        yield run
        assert [page.stop() for page in pages] == [0] * len(pages)


def bury(server: Server) -> list[str]:
    """Two dead letters; their ids."""
    with App("plant", server.url) as app:

        @app.task(name="<b>fail</b>")
        def fail(value: object) -> None:
            raise Reject("<img src=x onerror=alert(1)>\x1b[31m" + "y" * 1_000_000)

        with testing.worker(app):
            handles = [fail.submit(HOSTILE), fail.submit("plain")]
            deadline = time.monotonic() + 60
            while any(handle.status() != "failed" for handle in handles):
                assert time.monotonic() < deadline
                time.sleep(0.01)
        return [handle.id for handle in handles]


def test_it_tells_totals_workers_and_breakers(any_server: Server, start: Start) -> None:
    page = start()
    with App("plant", any_server.url) as app:

        @app.task(name="add")
        def add(a: int) -> int:
            return a

        with testing.worker(app):
            assert [handle.result(60) for handle in add.submit_many([(n,) for n in range(200)])] == list(range(200))
            state = page.state(lambda state: state.get("totals", {}).get("done") == 200 and state["workers"])
            timed = page.state(lambda state: [add.submit(1)] and state["run_p99_us"] is not None)
    (queue,) = state["queues"]
    assert (queue["app"], queue["queue"], queue["accepted"], queue["tasks"]) == ("plant", "default", 200, 0)
    assert state["workers"][0]["queues"] == ["plant/default"]
    (worker,) = timed["workers"]
    assert (worker["run_p50_us"], worker["run_p99_us"]) == (timed["run_p50_us"], timed["run_p99_us"])
    assert 0 <= timed["run_p50_us"] <= timed["run_p99_us"]
    assert timed["p99_us"] is not None
    assert state["allow_actions"] is False


def test_headers_and_the_page_itself(start: Start) -> None:
    page = start()
    for path in ("/", "/static/page.js", "/static/page.css", "/api/state"):
        status, headers, _ = page.ask(path)
        assert status == 200
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
    body = page.ask("/")[2]
    assert "<script>" not in body
    assert "style=" not in body
    assert page.ask("/static/../guard.py")[0] == 404
    assert page.ask("/nothing")[0] == 404


def test_dead_letters_are_bounded_and_printable(any_server: Server, start: Start) -> None:
    hostile, plain = bury(any_server)
    page = start()
    lines = json.loads(page.ask("/api/dead")[2])
    assert [line["id"] for line in lines["letters"]] == [hostile, plain]
    assert json.loads(page.ask("/api/dead?limit=1")[2])["more"] is True
    _, _, body = page.ask(f"/api/dead/plant/{hostile}")
    letter = json.loads(body)
    assert len(body) < 200_000
    assert "characters more" in letter["payload"]
    assert "<script>alert(1)</script>" in letter["payload"]
    for text in (*letter.values(), *lines["letters"][0].values()):
        assert not set("\x00\x1b\u202e") & set(str(text))


def test_retry_and_drop(any_server: Server, start: Start) -> None:
    first, second = bury(any_server)
    page = start("--allow-actions")
    assert page.post(f"/api/dead/plant/{first}/drop")[0] == 200
    assert page.post(f"/api/dead/plant/{first}/drop")[0] == 404
    assert page.post(f"/api/dead/plant/{second}/burn")[0] == 404
    assert page.post(f"/api/dead/plant/{second}/retry")[0] == 200
    state = page.state(lambda state: state.get("totals", {}).get("tasks") == 1)
    assert state["totals"]["dead_frames"] == 0
    for path in ("plant/nonsense", f"other/{second}", f"pl%22ant/{second}", f"plant/{second}"):
        status, _, body = page.ask(f"/api/dead/{path}")
        assert (status, bool(json.loads(body)["error"])) == (404, True)


def test_read_only_unless_allowed(any_server: Server, start: Start) -> None:
    first, _ = bury(any_server)
    status, body = start().post(f"/api/dead/plant/{first}/drop")
    assert (status, "--allow-actions" in body) == (403, True)


def test_other_sites_may_do_nothing(any_server: Server, start: Start) -> None:
    first, _ = bury(any_server)
    page = start("--allow-actions")
    path = f"/api/dead/plant/{first}/drop"
    assert page.post(path, Origin="http://evil.example")[0] == 403
    assert page.ask(path, "POST")[0] == 403
    assert page.ask("/api/state", headers={"Host": f"evil.example:{page.port}"})[0] == 421
    assert page.ask("/api/state", headers={"Host": f"localhost:{page.port}"})[0] == 200
    assert len(json.loads(page.ask("/api/dead")[2])["letters"]) == 2


def test_a_token_where_others_can_come(start: Start) -> None:
    page = start("--host", "0.0.0.0")
    assert page.token
    for headers in ({}, {"Authorization": "Bearer no"}, {"Cookie": "ttp_token=no"}):
        status, _, body = page.ask("/api/state", headers=headers)
        assert (status, "token" in body) == (401, True)
    assert page.ask("/?token=wrong")[0] == 401
    status, headers, _ = page.ask(f"/?token={page.token}")
    assert status == 200
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    assert page.ask("/api/state", headers={"Cookie": headers["set-cookie"].partition(";")[0]})[0] == 200
    assert page.ask("/api/state", headers={"Authorization": f"Bearer {page.token}"})[0] == 200
    own = start("--token", "s3cret")
    assert own.token == "s3cret"
    assert own.ask("/api/state")[0] == 401


def test_a_browser_that_drops_the_stream_is_forgotten(start: Start) -> None:
    page = start()

    def open_sockets() -> int:
        connections = psutil.Process(page.process.pid).net_connections("tcp")
        return sum(c.status == psutil.CONN_ESTABLISHED for c in connections)

    browsers = [socket.create_connection(("127.0.0.1", page.port)) for _ in range(3)]
    for browser in browsers:
        browser.sendall(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
        browser.settimeout(20)
        seen = b""
        while b"event: history" not in seen or seen.count(b"data: ") < 3:
            seen += browser.recv(65536)
    assert open_sockets() == 3
    for browser in browsers:
        browser.close()
    deadline = time.monotonic() + 20
    while open_sockets():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert page.ask("/api/state")[0] == 200


def test_it_stops_with_a_stream_open(any_server: Server) -> None:
    with (
        StatusPage(any_server.url) as page,
        socket.create_connection(("127.0.0.1", page.port)) as browser,
    ):
        browser.sendall(f"GET /api/events HTTP/1.1\r\nHost: 127.0.0.1:{page.port}\r\n\r\n".encode())
        browser.settimeout(20)
        assert browser.recv(65536)
        assert page.stop(signal.SIGTERM) == 0


def test_no_server_is_shown_and_it_comes_back(any_server: Server, start: Start) -> None:
    page = start()
    page.state(lambda state: state["server"]["up"])
    any_server.stop()
    state = page.state(lambda state: state["server"]["up"] is False)
    assert "no connection" in state["server"]["error"]
    status, _, body = page.ask("/api/dead")
    assert (status, "no connection" in body) == (503, True)
    any_server.start()
    page.state(lambda state: state["server"]["up"])


def test_a_busy_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        monkeypatch.setattr(sys, "argv", ["ttp", "ui", "--port", port, "--url", f"unix://{tmp_path}/none"])
        with pytest.raises(SystemExit) as ended:
            main()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert "--port" in said
