"""Tasks whose metrics tests read: `ttp worker metrics_app:app --http 0`."""

import logging
import os
import time

import ttp

app = ttp.App("plant", os.environ["METRICS_URL"], retry=ttp.RetryPolicy(max_attempts=2, base_delay=0.01))


@app.task
def fine(n: int) -> int:
    """End well."""
    return n


@app.task
def fails() -> None:
    """Fail, twice."""
    raise ValueError("no")


@app.task(name='<script>alert(1)</script>\n\x1b[31m\\ "quoted" ' + "x" * 180, breaker=ttp.CircuitBreaker("db"))
def hostile() -> None:
    """Have a name that obeys nobody."""


@app.task
def busy(seconds: float) -> None:
    """Keep the interpreter for oneself."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        pass


@app.task
def refuses(payload: str) -> None:
    """Fail for good, and say with what."""
    raise ttp.Reject(f"cannot use {payload}")


@app.task(name="<script>\n\x1b[31m\u202e", retry=ttp.RetryPolicy(max_attempts=1), timeout=60.0)
def shouts(text: str, times: int) -> None:
    """Log and raise what should obey nobody, so many times over."""
    text *= times
    try:
        raise ValueError(text)
    except ValueError:
        logging.getLogger("plant").exception("no good: %s", text, extra={"task": text})
    raise ValueError(text)
