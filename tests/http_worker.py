"""Processes that serve health and metrics, and what they answer."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from prometheus_client.parser import text_string_to_metric_families

HERE = Path(__file__).parent
T = TypeVar("T")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def get(port: int, path: str) -> tuple[int, str]:
    """Status and body; OSError if nobody answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()


def until(look: Callable[[], T], seconds: float = 60.0) -> T:
    """What `look` gives as soon as it is true; fails with what it gave last."""
    deadline = time.monotonic() + seconds
    seen: object = None
    while time.monotonic() < deadline:
        try:
            if seen := look():
                return seen
        except OSError as error:
            seen = error
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {seen!r}")


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """(name, sorted labels) → value."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def start(url: str, address: str, *options: str, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start `BEFORE ttp worker metrics_app:app --http ADDRESS`."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", "ttp", "worker", "metrics_app:app", "--http", address, *options],
        cwd=HERE,
        env=os.environ | {"METRICS_URL": url},
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def http_command(*command: str) -> Iterator[int]:
    """`ttp COMMAND --http PORT` while it runs; yields the port. It must stop with 0."""
    port = free_port()
    # The option belongs to the command itself, so before any command of its own.
    name, *rest = command
    process = subprocess.Popen(
        [sys.executable, "-m", "ttp", name, "--http", f"127.0.0.1:{port}", *rest], stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: get(port, "/livez")[0] == 200)
        yield port
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def http_worker(url: str, *options: str, before: Sequence[str] = ()) -> Iterator[int]:
    """A worker that runs; yields the port where it serves. It must stop with 0."""
    port = free_port()
    process = start(url, f"127.0.0.1:{port}", *options, before=before)
    try:
        yield port
        process.terminate()
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.communicate()
