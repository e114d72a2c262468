"""MQTT into PostgreSQL, each event once: `TELEMETRY=postgres:URL ttp worker examples.mqtt_to_postgres:app`, and beside
it `ttp ingest mqtt BROKER --topic 'plant/#'` (needs `ttp[mqtt,postgres]`).
"""

import os

import ttp
from ttp.telemetry.handlers.store import store_task
from ttp.telemetry.sinks import open_sink

app = ttp.App("telemetry")
store = store_task(app, open_sink(os.environ["TELEMETRY"]))
