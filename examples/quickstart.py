"""Two tasks. Run their worker with `ttp worker examples.quickstart:app`."""

from collections import defaultdict

import ttp

app = ttp.App("quickstart")

totals: dict[str, float] = defaultdict(float)


@app.task(retry=ttp.RetryPolicy(max_attempts=5, base_delay=0.1))
def ingest(device: str, value: float) -> float:
    """Add a value to the device's total in this worker, and return the total."""
    totals[device] += value
    return totals[device]


@app.task(timeout=5.0)
def celsius(fahrenheit: float) -> float:
    """Convert a temperature."""
    return (fahrenheit - 32) / 1.8
