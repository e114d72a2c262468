"""Health and metrics of a process that sends and runs no handlers: `ttp simulate` and `ttp ingest`.

In threads of that process: what it does is mostly waiting and native code.
"""

from collections.abc import Sequence

from ttp.app import App
from ttp.observability import http
from ttp.observability.app_collector import AppCollector
from ttp.observability.collector import QueueCollector
from ttp.observability.listener import listen
from ttp.observability.queues import QueueWatch


class SenderEndpoints:
    """Serves an app's until closed.

    Args:
        queues: to which the app sends.

    Raises:
        ValueError: the address is wrong or busy, or prometheus-client is not installed.
    """

    def __init__(self, app: App, address: str, *, queues: Sequence[str]) -> None:
        listener = listen(address)
        self.port = int(listener.getsockname()[1])
        self._app = app
        self._queues = QueueWatch(app.open_connection, [app.keys(queue) for queue in queues])
        self._queues.start()
        collectors = AppCollector(app), QueueCollector(self._queues)
        endpoints = http.Endpoints(*collectors, not_alive=list, not_ready=self._not_ready)
        self._server = http.serve(listener, endpoints.answer)

    def _not_ready(self) -> list[str]:
        reasons = [] if self._queues.answering else ["the server does not answer"]
        used, blocks = self._app.producer.blocks
        return [*reasons, *(["the producer's pool is full: what was sent is not accepted"] if used == blocks else [])]

    def close(self) -> None:
        """End."""
        self._queues.stop()
        self._server.shutdown()
        self._server.server_close()
