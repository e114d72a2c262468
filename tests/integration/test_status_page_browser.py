"""The status page in a real Chromium: live, harmless, by keyboard, and its buttons do what they say."""

from collections.abc import Iterator

import pytest

from real_browser import Browser
from real_server import Server
from status_page import StatusPage
from ttp import App, Reject, testing

pytestmark = pytest.mark.once

pytest.importorskip("uvicorn", reason="no uvicorn here: install ttp[ui]")

EVIL = "<img src=x onerror='document.title=1'><script>document.title=2</script>"


@pytest.fixture
def app(any_server: Server) -> Iterator[App]:
    """Its task "<b>pick</b>" fails for good what is negative, at the first attempt."""
    with App("plant", any_server.url) as app:
        refused: set[int] = set()

        @app.task(name="<b>pick</b>")
        def pick(n: int, note: str = EVIL) -> int:
            if n < 0 and n not in refused:
                refused.add(n)
                raise Reject(f"{n} {EVIL}")
            return n

        @app.task(queue="a-queue-whose-name-is-much-too-long-for-a-column-of-the-table")
        def other() -> None:
            """Its queue is one of the worker's."""

        app.pick = pick  # type: ignore[attr-defined]
        yield app


def test_a_person_on_call(any_server: Server, app: App, browser: Browser) -> None:
    pick = app.pick  # type: ignore[attr-defined]
    with StatusPage(any_server.url, "--allow-actions") as page, testing.worker(app):
        browser.look(1200, 900)
        browser.open(page.url)
        browser.wait("document.querySelector('#server')?.dataset.state === 'up'")
        handles = pick.submit_many([(n,) for n in range(500)])
        assert [handle.result(60) for handle in handles] == list(range(500))
        bad = [pick.submit(-1), pick.submit(-2)]

        # Live: numbers, worker, chart and letters come by themselves.
        browser.wait("document.querySelector('#queues tbody')?.innerText.includes('500')")
        browser.wait("document.querySelectorAll('#workers tbody tr').length === 1")
        browser.wait("document.querySelectorAll('#rate-chart .line').length === 2")
        browser.wait("document.querySelectorAll('#run-chart .line').length >= 2")
        browser.wait("document.querySelectorAll('#letters li').length === 2")
        assert "500" in browser.run("document.querySelector('#queues tbody').innerText")

        # A letter grows older while one looks at it.
        browser.run("document.querySelector('#letters .when').textContent = ''")
        browser.wait("document.querySelector('#letters .when').textContent.endsWith(' ago')")

        # Hostile names and payloads are text.
        browser.click("#letters summary")
        browser.wait("!!document.querySelector('.letter .retry')")
        assert browser.run("document.querySelectorAll('main img, main script, main b.evil').length") == 0
        assert browser.run("document.querySelector('summary .task').textContent") == "<b>pick</b>"
        assert EVIL in browser.run("document.querySelector('.letter pre ~ h3 + pre').textContent")
        assert browser.run("document.title").endswith("/s · ttp")

        # Retry by a click: it runs again, as the same task.
        browser.click(".letter .retry")
        browser.wait("document.querySelector('#said').textContent.includes('back in its queue')")
        browser.wait("document.querySelectorAll('#letters li').length === 1")
        browser.wait("document.querySelector('#queues tbody').innerText.includes('501')")

        # Drop by the keyboard alone: it asks first, and Escape keeps the letter.
        # A letter that comes meanwhile does not take the focus away.
        browser.run("document.querySelector('#letters summary').focus()")
        pick.submit(-3)
        browser.wait("document.querySelectorAll('#letters li').length === 2")
        browser.key("Enter")
        browser.wait("!!document.querySelector('.letter .drop')")
        for answer, left in (("Escape", 2), ("Enter", 1)):
            browser.run("document.querySelector('.letter .drop').focus()")
            browser.key("Enter")
            browser.wait("document.querySelector('#sure').open")
            if answer == "Enter":
                browser.key("Tab")
                browser.wait("document.activeElement.id === 'sure-yes'")
            browser.key(answer)
            browser.wait("!document.querySelector('#sure').open")
            browser.wait(f"document.querySelectorAll('#letters li').length === {left}")
        next(iter(app.dead_letters())).drop()
        browser.wait("!document.querySelector('#no-letters').hidden")
        assert [handle.status() for handle in bad] == ["done", "failed"]
        assert browser.errors == []
        assert page.stop() == 0
        browser.wait("document.querySelector('#alarm').innerText.includes('does not answer')")


def test_phone_dark_and_names_for_a_screen_reader(any_server: Server, app: App, browser: Browser) -> None:
    with StatusPage(any_server.url, "--token", "s3cret") as page, testing.worker(app):
        app.pick.submit(-1)  # type: ignore[attr-defined]
        browser.look(390, 844, dark=True)
        browser.open(f"{page.url}/?token=s3cret")
        browser.wait("document.querySelectorAll('#letters li').length === 1")
        browser.wait("document.querySelectorAll('#workers tbody tr').length === 1")
        assert browser.run("location.search") == ""
        for width in (800, 1160, 390):
            browser.look(width, 844, dark=True)
            browser.wait(f"innerWidth === {width}")
            assert browser.run("document.documentElement.scrollWidth") == width, "something is cut off"
        background = "getComputedStyle(document.body).backgroundColor"
        dark = browser.run(background)
        browser.click("#theme")
        assert browser.run(background) != dark
        browser.click("#letters summary")
        browser.wait("!!document.querySelector('.letter pre')")
        assert browser.run("document.querySelectorAll('.letter button').length") == 0

        nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
        seen = [(node["role"].get("value"), node.get("name", {}).get("value", "")) for node in nodes if "role" in node]
        assert all(name for role, name in seen if role in ("button", "image", "link", "columnheader"))
        for expected in (("heading", "Queues"), ("heading", "Workers"), ("button", "Change between light and dark")):
            assert expected in seen
        assert any(role == "image" and name.startswith("Tasks a second, last") for role, name in seen)
        assert browser.errors == []
        assert page.stop() == 0
