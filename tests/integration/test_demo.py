"""`ttp demo`: what it says in a file, and that it leaves nothing running where it is ended before its end."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from http_worker import until


def test_its_summary_can_be_read_in_a_file(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ttp", "demo", "--seconds", "1", "--rate", "100", "--burst", "1000"]
    done = subprocess.run(
        command, env=os.environ | {"TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert "a burst of 1,000 no-op tasks" in lines
    (summary,) = (line for line in lines if line.startswith("events "))
    sent, stored = re.findall(r"(?:sent|stored) ([\d,]+)", summary)
    assert sent == stored != "0"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_workers_and_server_end_with_the_demo(tmp_path: Path, how: signal.Signals) -> None:
    demo = subprocess.Popen(
        [sys.executable, "-m", "ttp", "demo", "--seconds", "600", "--rate", "100"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )
    alive: list[psutil.Process] = []
    try:
        until(lambda: demo.poll() is not None or len(list(tmp_path.glob("ttp-demo-*/worker-*.json"))) == 2)
        started = [
            process
            for process in psutil.process_iter(["cmdline"])
            if process.pid != demo.pid and any(str(tmp_path) in word for word in process.info["cmdline"] or ())
        ]
        demo.send_signal(how)
        code = demo.wait(60)
        _, alive = psutil.wait_procs(started, timeout=60)
    finally:
        demo.kill()
        demo.wait()
        for process in alive:
            if process.name() != "sh":  # which ends the server when they are gone
                process.kill()
    assert len(started) >= 3  # two workers, and the server
    assert not alive
    assert code == (143 if how == signal.SIGTERM else -signal.SIGKILL)
    if how == signal.SIGTERM:
        assert not list(tmp_path.glob("ttp-demo-*"))
