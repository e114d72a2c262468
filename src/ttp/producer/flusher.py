"""The thread that sends what nobody else sends, and watches over the server while it might lose something."""

import contextlib
import logging
import threading
import time

from ttp.errors import ServerUnavailable
from ttp.native import Outbox
from ttp.producer.pump import SPACING, WATCH, Pump

log = logging.getLogger("ttp.producer")

PARTIAL_WINDOW = 2  # unanswered frames above which partial ones are not sent: they would pile up as they are
IDLE_DRAIN = 0.005  # seconds after which the replies are taken that nobody waits for
NOTHING_TO_DO = 3600.0  # seconds


class Flusher:
    """Started at once."""

    def __init__(self, outbox: Outbox, pump: Pump) -> None:
        self._outbox = outbox
        self._pump = pump
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="ttp-flusher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Do no more."""
        self._closing = True

    def join(self, timeout: float) -> None:
        """Wait for its end, after `close`."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        _sleep_precisely()
        trouble: Exception | None = None
        while not self._closing:
            try:
                if trouble is not None:
                    time.sleep(IDLE_DRAIN)
                    said, trouble = trouble, None
                    log.error("sending failed, and goes on", exc_info=said)
                    del said  # its frames hold what was sent
                self._wait_and_send()
            except Exception as error:  # out of memory: nobody else would send what is here
                trouble = error

    def _wait_and_send(self) -> None:
        woken = self._outbox.wait(self._pause())
        if self._closing:
            return
        hasty = self._in_haste()
        with self._pump.lead:
            if self._closing:
                return
            try:
                self._turn()
            except ServerUnavailable as error:
                log.debug("not sent now: %s", error)
            self._pump.watching = bool(self._pump.flight.window)
        if woken and not hasty:
            time.sleep(self._pump.spacing)  # meanwhile frames fill, and nothing that is emitted wakes anybody

    def _turn(self) -> None:
        link, flight = self._pump.link, self._pump.flight
        if link.connection is not None and flight.unanswered >= PARTIAL_WINDOW:
            link.connection.readable(0.01)  # a reply: meanwhile the open frames fill
        else:
            self._outbox.seal()
        self._pump.turn()
        if self._in_haste() and flight.unanswered and link.connection is not None:
            # Take the replies as they come.
            link.connection.readable(0.1)
            self._pump.turn()

    def _pause(self) -> float:
        link, flight = self._pump.link, self._pump.flight
        busy = self._pump.busy
        if link.connection is None:
            busy = busy or self._pump.watching
            return max(IDLE_DRAIN, link.retry_at - time.monotonic()) if busy else NOTHING_TO_DO
        if self._in_haste():
            return 0.0 if flight.unanswered else SPACING
        return IDLE_DRAIN if busy else WATCH if self._pump.watching else NOTHING_TO_DO

    def _in_haste(self) -> bool:
        """Whether somebody's event loop waits for replies, or the disk for what is behind them."""
        flight = self._pump.flight
        return not flight.full_until and (any(self._pump.awaiting.values()) or any(map(len, flight.stored)))


def _sleep_precisely() -> None:
    """Let this thread's sleeps end when they should. Linux else adds up to 50 µs, for fewer wake-ups."""
    slack = f"/proc/{threading.get_native_id()}/timerslack_ns"
    with contextlib.suppress(OSError, MemoryError), open(slack, "w") as file:  # noqa: PTH123 - pathlib is not loaded early
        file.write("1")
