"""The metrics of a process that submits."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

import ttp
from real_server import Server
from ttp.observability.app_collector import AppCollector


def test_what_was_accepted_and_what_waits(server: Server) -> None:
    registry = CollectorRegistry()
    with ttp.App("plant", server.url, submit_timeout=0.2) as app:
        registry.register(AppCollector(app))

        def value(name: str) -> float | None:
            return registry.get_sample_value(f"ttp_producer_{name}", {"app": "plant"})

        @app.task
        def idle(n: int) -> None: ...

        for n in range(100):
            idle.emit(n)
        app.flush()
        assert (value("accepted_total"), value("pool_blocks_used")) == (100, 0)
        server.stop()
        idle.emit(1)
        assert value("pool_blocks_used") == 1
        assert (value("pool_blocks") or 0) > 1
        with pytest.raises(ttp.ServerUnavailable):
            app.flush(0.2)
        assert value("accepted_total") == 100
        server.start()
        app.flush(10.0)
        assert (value("accepted_total"), value("pool_blocks_used")) == (101, 0)
        with pytest.raises(ValueError, match="Duplicated"):
            registry.register(AppCollector(app))


def test_what_was_stored_and_forwarded(server: Server, tmp_path: Path) -> None:
    registry = CollectorRegistry()
    with ttp.App("plant", server.url, on_full="store", store=tmp_path / "store") as app:
        registry.register(AppCollector(app))
        server.stop()
        app.remote("idle").emit(1)
        with pytest.raises(ttp.ServerUnavailable):
            app.flush(0.1)
        server.start()
        app.flush(20.0)
        for name in ("stored", "forwarded", "accepted"):
            assert registry.get_sample_value(f"ttp_producer_{name}_total", {"app": "plant"}) == 1, name
