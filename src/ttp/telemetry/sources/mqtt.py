"""Events by MQTT: JSON payloads of one event each; with QoS 1, acknowledged when the server has accepted them.

An event that names no device belongs to its topic. A payload that is no event is refused, and acknowledged all
the same: the broker would only send it again.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ttp.errors import TtpError
from ttp.native import EventColumns
from ttp.telemetry.sources.decoding import Origin
from ttp.telemetry.sources.intake import Intake, new_columns
from ttp.telemetry.sources.lines import JSON_LINES, take_line

if TYPE_CHECKING:
    from paho.mqtt.client import Client, MQTTMessage

PORT = 1883
BATCH = 1000  # messages taken together, if the broker sends that many ahead
POLL = 0.2  # seconds between two looks at `stopping`
PAUSE = 1.0  # seconds between two tries to connect


class MqttReceiver:
    """Subscribes to topics of a broker.

    The session is kept by the broker under `client_id`: what comes while nobody listens is delivered later,
    if it was sent with QoS 1. A message that the broker sends twice counts as two events, unless they are
    numbered by their sender.
    """

    def __init__(
        self,
        host: str,
        topics: list[str],
        *,
        port: int = PORT,
        client_id: str = "ttp-ingest",
        qos: int = 1,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
    ) -> None:
        """No I/O yet. TtpError without paho-mqtt."""
        try:
            from paho.mqtt.client import Client  # noqa: PLC0415 - an extra
            from paho.mqtt.enums import CallbackAPIVersion  # noqa: PLC0415
        except ImportError:
            raise TtpError("MQTT needs paho-mqtt: pip install 'ttp[mqtt]'") from None
        self._address = host, port
        self._topics = topics
        self._qos = qos
        self._waiting: list[MQTTMessage] = []
        self._origin = Origin("")
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True)
        if username is not None:
            self._client.username_pw_set(username, password)
        if tls:
            self._client.tls_set()
        self._refusal: str | None = None
        self._client.on_connect = self._connected
        self._client.on_message = lambda _client, _data, message: self._waiting.append(message)

    def serve(self, intake: Intake) -> None:
        """Until `stopping` is set; a broker that goes away is waited for.

        Raises:
            OSError: the broker cannot be reached at first, or refuses.
        """
        self._client.connect(*self._address)
        try:
            while not intake.stopping.is_set():
                if not self._turn(intake):
                    self._reconnect(intake)
        finally:
            self._client.disconnect()

    def _turn(self, intake: Intake) -> bool:
        """Take what the broker has sent, and have it accepted. False if the connection is gone."""
        ok, before = True, -1
        while ok and before < len(self._waiting) < BATCH:
            before = len(self._waiting)
            ok = self._client.loop(0 if before else POLL) == 0
            if self._refusal is not None:
                raise ConnectionRefusedError(self._refusal)
        messages, self._waiting = self._waiting, []
        if messages:
            intake.send(self._events(messages, intake))
        if ok:  # what was not acknowledged is sent again
            for message in messages:
                self._client.ack(message.mid, message.qos)
        return ok

    def _events(self, messages: "list[MQTTMessage]", intake: Intake) -> Iterator[EventColumns]:
        columns = new_columns()
        for message in messages:
            raw, origin = bytes(message.payload), self._origin.of(message.topic)
            if b"\n" in raw or not raw.strip() or JSON_LINES.read(columns, raw, 0, origin) < len(raw):
                take_line(columns, raw.strip(), JSON_LINES, origin, intake)
            if columns.full:
                yield columns
        if len(columns):
            yield columns

    def _connected(self, client: "Client", _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refusal = f"the MQTT broker refuses: {reason}"
        else:
            client.subscribe([(topic, self._qos) for topic in self._topics])

    def _reconnect(self, intake: Intake) -> None:
        while not intake.stopping.wait(PAUSE):
            try:
                self._client.reconnect()
            except OSError:
                continue
            return
