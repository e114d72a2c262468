"""Store telemetry in SQLite: `ttp worker examples.telemetry:app`, and `ttp simulate` in another terminal."""

import os

import ttp
from ttp.telemetry.handlers.store import store_task
from ttp.telemetry.sinks.sqlite import SqliteSink

app = ttp.App("telemetry")
store = store_task(app, SqliteSink(os.environ.get("TELEMETRY_DB", "telemetry.db")))
