"""While a command runs: a line of numbers, and Ctrl-C or SIGTERM as its good end."""

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ttp.worker.pool import STOPPING


@contextmanager
def stop_on_interrupt(stopping: threading.Event) -> Iterator[None]:
    """Set `stopping` on Ctrl-C or SIGTERM while the block runs; a second one raises KeyboardInterrupt.

    Python's handlers run in the main thread, and a signal that hits another thread does not end the main
    thread's wait. So a thread of its own hears of it, through a socket that is written to at once.
    """
    heard, told = socket.socketpair()
    told.setblocking(False)

    def listen() -> None:
        while number := heard.recv(1):
            if number[0] in STOPPING:
                stopping.set()

    def handle(_number: int, _frame: object) -> None:
        for number in STOPPING:
            signal.signal(number, signal.default_int_handler)

    listener = threading.Thread(target=listen, name="ttp-interrupt", daemon=True)
    listener.start()
    before = {number: signal.signal(number, handle) for number in STOPPING}
    told_before = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(told_before)
        for number, handler in before.items():
            signal.signal(number, handler)
        told.close()
        listener.join()
        heard.close()


@contextmanager
def live_line(text: Callable[[], str]) -> Iterator[None]:
    """Show the text on stderr while the block runs, four times a second; nothing where that is no terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(get_renderable=lambda: Text(text()), console=Console(stderr=True), transient=True):
        yield
