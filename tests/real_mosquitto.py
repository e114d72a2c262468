"""A mosquitto that tests start, and its own sender."""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None or shutil.which("mosquitto_pub") is None,
    reason="no mosquitto here (Debian: apt install mosquitto mosquitto-clients)",
)


class Mosquitto:
    """A broker on a free port of loopback, without persistence.

    Args:
        in_flight: messages with QoS above 0 that it sends ahead of their acknowledgement.
    """

    def __init__(self, in_flight: int = 20) -> None:
        assert MOSQUITTO is not None
        self._directory = Path(tempfile.mkdtemp(prefix="ttp-mqtt-"))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        config = self._directory / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\n"
            f"max_inflight_messages {in_flight}\nmax_queued_messages 0\n"
        )
        self._process = subprocess.Popen(
            [MOSQUITTO, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self._process.poll() is None, "mosquitto ended"
                assert time.monotonic() < deadline, "mosquitto does not answer"
                time.sleep(0.02)
            else:
                return

    def publish(self, topic: str, *lines: str) -> None:
        """Send each line as a message with QoS 1, by mosquitto_pub."""
        command = ["mosquitto_pub", "-p", str(self.port), "-q", "1", "-t", topic, "-l"]
        subprocess.run(command, input="".join(f"{line}\n" for line in lines), text=True, check=True, timeout=60)

    def remove(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)
        shutil.rmtree(self._directory)
