"""From NumPy arrays to anomaly alerts: `python examples/anomalies.py` (needs `ttp[columns]`)."""

from dataclasses import dataclass

import numpy as np

import ttp
from ttp import testing

app = ttp.App("anomalies")


@dataclass
class Reading:
    device: str
    value: float


@app.task
def alert(device: str, value: float) -> None:
    print(f"{device}: {value:.1f} is out of the ordinary")


@app.batch(Reading)
def detect(batch: ttp.Batch[Reading]) -> None:
    values = batch["value"]
    for row in np.flatnonzero(np.abs(values - np.median(values)) > 6 * values.std()):
        alert.emit(batch["device"][row], float(values[row]))  # commits with the batch


if __name__ == "__main__":
    values = np.random.default_rng(1).normal(20.0, 1.0, 100_000)
    values[[1234, 77_777]] = 95.0, -40.0
    detect.submit_columns(device=np.array(["pump-1", "pump-2"])[np.arange(len(values)) % 2], value=values)
    testing.drain(app)
