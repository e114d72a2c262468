"""This machine's metrics into PostgreSQL, each event once: `python examples/host_to_postgres.py dbname=telemetry`."""

import sys
import time

from ttp.telemetry.delivery import Delivery
from ttp.telemetry.sinks.postgres import PostgresSink
from ttp.telemetry.sources.host import HostSource

delivery = Delivery(PostgresSink(sys.argv[1]))
summary = delivery.run(HostSource(interval=0.2, count=10), clock=time.time)
print(f"sent {summary.sent} events, stored {summary.stored} as {summary.rows} rows")
