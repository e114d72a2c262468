"""A real Prometheus that tests start."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from http_worker import free_port, get

DEPLOY = Path(__file__).parents[1] / "deploy"
PROMETHEUS = shutil.which("prometheus")
NO_PROMETHEUS = "no prometheus here (Debian: apt install prometheus)"


class Prometheus:
    """One that scrapes these ports every 200 ms, with our rules."""

    def __init__(self, directory: Path, *targets: int) -> None:
        assert PROMETHEUS is not None
        addresses = [f"127.0.0.1:{target}" for target in targets]
        config = {
            "global": {"scrape_interval": "200ms", "evaluation_interval": "200ms"},
            "rule_files": [str(DEPLOY / "prometheus" / "ttp.rules.yml")],
            "scrape_configs": [{"job_name": "ttp", "static_configs": [{"targets": addresses}]}],
        }
        (directory / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
        self._port = free_port()
        self.process = subprocess.Popen(
            [
                PROMETHEUS,
                f"--config.file={directory / 'prometheus.yml'}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{self._port}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ask(self, expression: str) -> list[Any]:
        """The result of an instant query; AssertionError if Prometheus refuses it."""
        status, text = get(self._port, "/api/v1/query?" + urlencode({"query": expression}))
        assert status in (200, 503), f"{expression}: {text}"
        return list(json.loads(text)["data"]["result"]) if status == 200 else []

    def series(self, selector: str) -> list[dict[str, str]]:
        """The labels of all series that this selects."""
        status, text = get(self._port, "/api/v1/series?" + urlencode({"match[]": selector}))
        assert status == 200, text
        return list(json.loads(text)["data"])

    def value(self, expression: str) -> float | None:
        """The one number it gives."""
        found = self.ask(expression)
        return float(found[0]["value"][1]) if len(found) == 1 else None
