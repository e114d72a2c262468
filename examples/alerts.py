"""Readings become rows, windows and alerts, each once: `ttp worker examples.alerts:app`.

`python -m examples.alerts` beside it sends some; TELEMETRY says where they are stored (docs/sinks.md).
"""

import os
import time

import ttp
from ttp.telemetry.handlers.alert import Alert
from ttp.telemetry.handlers.limits import DEFAULT_LIMITS, Limit
from ttp.telemetry.handlers.platform import telemetry_tasks
from ttp.telemetry.hub import Faults, Fleet, FleetConfig
from ttp.telemetry.sinks import open_sink


def tell(alert: Alert) -> None:
    """Somebody should know."""
    print(f"ALERT {alert.device}: {alert.reason} ({alert.value:g})", flush=True)


app = ttp.App("platform")
analyze = telemetry_tasks(
    app,
    open_sink(os.environ.get("TELEMETRY", "sqlite:telemetry.db")),
    limits=[*DEFAULT_LIMITS, Limit("co2", above=1500.0)],
    notify=tell,
)

if __name__ == "__main__":
    fleet = Fleet(FleetConfig(devices=20, count=2000, faults=Faults(spike=0.02), seed=1, start=time.time() - 60))
    for event in fleet.due():
        record = event.record()
        analyze.emit(record.device, record.epoch, record.sequence, record.timestamp, record.fields)
    app.close()
