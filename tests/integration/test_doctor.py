"""`ttp doctor` on real servers, good and bad."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from real_server import Server
from ttp import App, testing
from ttp.cli import main
from ttp.coordination.server_binary import ServerBinary

pytestmark = pytest.mark.once

Doctor = Callable[..., dict[str, Any]]


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Runs it with these options, in this process; it must exit with this code. Gives what it prints as JSON."""

    def run(url: str, *options: str, code: int) -> dict[str, Any]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["ttp", "doctor", "--url", url, "--json", *options])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == code, printed
        report: dict[str, Any] = json.loads(printed.out)
        return report

    return run


def verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {finding["name"]: finding["verdict"] for finding in report["findings"]}


def found(report: dict[str, Any], name: str) -> str:
    (finding,) = [finding for finding in report["findings"] if finding["name"] == name]
    return f"{finding['found']} → {finding['advice']}"


def test_a_good_server_with_a_worker(binary: ServerBinary, doctor: Doctor) -> None:
    server = Server(binary, "--appendonly", "yes")
    try:
        server.start()
        app = App("plant", server.url)

        @app.task(name="work")
        def work() -> int:
            return 1

        with app, testing.worker(app):
            assert work.submit().result(10) == 1
            report = doctor(server.url, code=0)
        assert set(verdicts(report).values()) <= {"ok", "note"}
        (worker,) = report["workers"]
        assert (worker["queue"], worker["connected"], worker["report"]["wire"]) == ("plant/default", True, "1")
        assert "ttp 0" in found(report, "workers")
        assert verdicts(report)["clock"] == verdicts(report)["durability"] == verdicts(report)["permissions"] == "ok"
    finally:
        server.remove()


def test_without_append_only_file_tasks_may_be_lost(server: Server, doctor: Doctor) -> None:
    report = doctor(server.url, code=1)
    assert verdicts(report)["durability"] == "mend"
    assert "appendonly yes" in found(report, "durability")
    assert verdicts(doctor(server.url, "--durability", "memory", code=0))["durability"] == "ok"


def test_a_server_that_evicts_and_is_nearly_full(server: Server, doctor: Doctor) -> None:
    root = server.connect()
    root.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    report = doctor(server.url, "--durability", "memory", code=1)
    assert "allkeys-lru" in found(report, "eviction")
    assert "maxmemory-policy noeviction" in found(report, "eviction")
    root.call("CONFIG", "SET", "maxmemory-policy", "noeviction")
    root.call("CONFIG", "SET", "maxmemory", "1")
    report = doctor(server.url, "--durability", "memory", code=1)
    assert (verdicts(report)["eviction"], verdicts(report)["memory"]) == ("ok", "mend")
    root.close()


def test_a_user_that_may_too_little(server: Server, doctor: Doctor) -> None:
    root = server.connect()
    rights = ("on", ">secret", "~ttp:*", "resetchannels", "&ttp:*", "+@all", "-client", "+client|setname")
    root.call("ACL", "SETUSER", "narrow", *rights, "-xack", "-publish")
    url = server.url.replace("unix://", "unix://narrow:secret@")
    report = doctor(url, "--durability", "memory", code=1)
    assert "XACK on ttp:{app.0}:default:s0.1" in found(report, "permissions")
    assert any("PUBLISH" in finding["found"] for finding in report["findings"])
    root.call("ACL", "SETUSER", "narrow", *rights, "+xack", "+publish")
    report = doctor(url, "--durability", "memory", code=0)
    assert (verdicts(report)["permissions"], "CLIENT LIST" in found(report, "permissions")) == ("note", True)
    root.close()


def test_a_replica(server: Server, doctor: Doctor) -> None:
    root = server.connect()
    root.call("REPLICAOF", "127.0.0.1", "1")
    report = doctor(server.url, "--durability", "memory", code=1)
    assert "Give the URL of its primary" in found(report, "role")
    root.close()


def test_tasks_that_nobody_runs(server: Server, doctor: Doctor) -> None:
    with App("plant", server.url) as app:
        app.remote("elsewhere").submit()
    report = doctor(server.url, "--durability", "memory", code=1)
    assert "1 tasks and no worker" in found(report, "queue plant/default")


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["ttp", "doctor", "--url", f"unix://{tmp_path}/none"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert "no connection" in capsys.readouterr().err
