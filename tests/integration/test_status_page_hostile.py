"""The status page in a real Chromium, and what would like to be obeyed there: it is text, and of bounded length."""

import json

import pytest

from real_browser import Browser
from real_server import Server
from status_page import StatusPage
from ttp import App, Reject, testing

pytest.importorskip("uvicorn", reason="no uvicorn here: install ttp[ui]")
pytestmark = pytest.mark.once

EVIL = "<img src=x onerror='document.title=1'><script>document.title=2</script>"
CONTROL = "\x00\x1b[31m\x07\r\n\u202e\x85"
OBEYED = {character for character in CONTROL if not character.isprintable()} - {"\n"}
MEGABYTE = 1_000_000


def test_what_a_worker_tells_of_itself(any_server: Server, browser: Browser) -> None:
    report = {
        "version": EVIL + CONTROL + "v" * MEGABYTE,
        "core": [EVIL],
        "started_at": EVIL,
        "in_hand": {"a": EVIL},
        "p99_us": EVIL,
        "breakers": {EVIL + CONTROL + "b" * MEGABYTE: "half_open", "fine": "closed", "strange": EVIL},
    }
    with App("plant", any_server.url) as app, StatusPage(any_server.url) as page:
        app.remote("none").submit()
        connection = app.open_connection(5)
        worker = "w" + EVIL + CONTROL
        connection.call("HSET", app.keys("default").workers, worker, "1", f"@{worker}", json.dumps(report), "no", EVIL)
        connection.close()
        shown = page.state(lambda state: state.get("breakers") and state["workers"])
        assert len(json.dumps(shown)) < 5000
        assert not OBEYED & set("".join(str(value) for value in shown["workers"][0].values()))
        browser.look(390, 844)
        browser.open(page.url)
        browser.wait("document.querySelectorAll('#breakers li').length === 3")
        states = "[...document.querySelectorAll('#breakers .state')].map(e => getComputedStyle(e).color)"
        assert browser.run(f"new Set({states}).size") == 2, "half open looks unlike closed"
        assert "half open" in browser.run("document.querySelector('#breakers').innerText")
        assert EVIL in browser.run("document.querySelector('#workers').textContent")
        assert browser.run("document.querySelectorAll('main img, main script').length") == 0
        assert browser.run("document.title").endswith("/s · ttp")
        assert browser.run("document.documentElement.scrollWidth") == 390
        assert browser.errors == []


def test_dead_letters(any_server: Server, browser: Browser) -> None:
    with App("plant", any_server.url) as app, StatusPage(any_server.url, "--allow-actions") as page:

        @app.task(name=f"{EVIL}{CONTROL}" + "n" * 150)
        def fail(**payload: str) -> None:
            raise Reject(EVIL + CONTROL + "r" * MEGABYTE)

        with testing.worker(app):
            fail.submit(**{EVIL: EVIL, "control": CONTROL, "long": "p" * 100_000})
            browser.look(390, 844)
            browser.open(page.url)
            browser.click("#letters summary")
            browser.wait("!!document.querySelector('.letter .retry')")
        for selector in ("summary .task", "summary .reason", ".letter pre", ".letter pre ~ pre"):
            text = browser.run(f"document.querySelector('{selector}').textContent")
            assert EVIL in text.replace(r"\"", '"'), selector
            assert len(text) < 100_000, selector
            assert not OBEYED & set(text), selector
        browser.click(".letter .drop")
        browser.wait("document.querySelector('#sure').open")
        assert EVIL in browser.run("document.querySelector('#sure-text').textContent")
        sizes = browser.run(
            "(b => [b.top, b.bottom, innerHeight])(document.querySelector('#sure-yes').getBoundingClientRect())"
        )
        assert 0 <= sizes[0] < sizes[1] <= sizes[2], "the question leaves room for its answers"
        browser.click("#sure-yes")
        browser.wait("!document.querySelector('#no-letters').hidden")
        assert browser.run("document.querySelectorAll('main img, main script, dialog img, #said img').length") == 0
        assert browser.run("document.title").endswith("/s · ttp")
        assert browser.run("document.documentElement.scrollWidth") == 390
        assert browser.errors == []
