"""While a command runs: a line of numbers, and Ctrl-C as its good end."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def stop_on_interrupt(stopping: threading.Event) -> Iterator[None]:
    """Set `stopping` on Ctrl-C while the block runs; a second one raises KeyboardInterrupt."""

    def handle(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # By another thread: this one may be inside the event's lock.
        threading.Thread(target=stopping.set, daemon=True).start()

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def live_line(text: Callable[[], str]) -> Iterator[None]:
    """Show the text on stderr while the block runs, four times a second; nothing where that is no terminal."""
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    with Live(get_renderable=lambda: Text(text()), console=Console(stderr=True), transient=True):
        yield
