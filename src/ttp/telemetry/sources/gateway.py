"""A TelemetryHub gateway, asked for its latest sample now and then."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from time import time
from typing import Any
from urllib.parse import urlsplit

from ttp.telemetry.event import Record, Scalar, check_integer, parse_timestamp
from ttp.telemetry.sources import check_interval

TIMEOUT = 5.0  # seconds
MAX_ANSWER = 64 * 1024  # bytes


class GatewaySource:
    """`GET /status` each interval; a sample counts once.

    The device is the gateway's address unless a name is given. A sequence that starts over begins a new epoch;
    the first is the start of the source in milliseconds since 1970.

    Args:
        interval: seconds between two requests.
        on_bad: told why a request gave no sample that could be read.
    """

    def __init__(
        self,
        url: str,
        *,
        device: str | None = None,
        interval: float = 0.1,
        on_bad: Callable[[str], None],
        clock: Callable[[], float] = time,
    ) -> None:
        address = urlsplit(url)
        if address.scheme not in {"http", "https"} or not address.hostname:
            raise ValueError(f"gateway URL must be http://HOST:PORT, not {url!r}")
        kind = HTTPSConnection if address.scheme == "https" else HTTPConnection
        self._connection = kind(address.hostname, address.port, timeout=TIMEOUT)
        self._path = address.path.rstrip("/") + "/status"
        self._device = device or address.netloc.rpartition("@")[2]
        self._interval = check_interval(interval)
        self._on_bad = on_bad
        self._clock = clock
        self._due = clock()
        self._epoch = int(self._due * 1000)
        self._last = -1

    @property
    def next_due(self) -> float | None:
        """When to ask again, in seconds since 1970."""
        return self._due

    def due(self) -> Iterator[Record]:
        """The sample the gateway has now, if it is new. Waits for the answer, 5 s at most."""
        if self._clock() < self._due:
            return
        self._due = max(self._due + self._interval, self._clock())
        try:
            record = self._record(self._status())
        except (OSError, HTTPException, ValueError, RecursionError) as error:
            self._connection.close()
            self._on_bad(str(error) or type(error).__name__)
        else:
            if record is not None:
                yield record

    def _status(self) -> Any:
        self._connection.request("GET", self._path)
        answer = self._connection.getresponse()
        body = answer.read(MAX_ANSWER)
        if answer.read(1):
            raise ValueError(f"an answer of more than {MAX_ANSWER:,} bytes")
        if answer.status != 200:
            raise ValueError(f"{self._path} answers {answer.status}")
        return json.loads(body)

    def _record(self, status: Any) -> Record | None:
        """The sample in a status: as the gateway's code writes it, or as its documentation has it."""
        if not isinstance(status, dict):
            raise ValueError("the status is no JSON object")
        sample = status.get("latest_sample", status.get("sample"))
        if sample is None:
            return None
        if not isinstance(sample, dict):
            raise ValueError("the sample is no JSON object")
        sequence = check_integer("seq", sample.get("seq", sample.get("sequence_id")))
        if sequence == self._last:
            return None
        value = sample.get("value")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"value is not a number: {value!r}")
        stamp = sample.get("timestamp")
        when = datetime.fromtimestamp(self._clock(), UTC).isoformat() if stamp is None else parse_timestamp(stamp)
        fields: dict[str, Scalar] = {"value": value}
        if isinstance(unit := sample.get("unit"), str):
            fields["unit"] = unit
        if isinstance(state := status.get("state"), str):
            fields["state"] = state
        if sequence < self._last:
            self._epoch += 1
        self._last = sequence
        return Record(self._device, self._epoch, sequence, when, fields)
