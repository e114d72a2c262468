"""A queue's numbers, as anybody sees them from outside."""

import ttp
from ttp.coordination import inspection


def queue_stats(app: ttp.App, queue: str = "default") -> inspection.Stats:
    """What it holds, and what it has done so far."""
    connection = app.open_connection(10.0)
    try:
        return inspection.stats_reply(connection.call_many(inspection.stats(app.keys(queue))))
    finally:
        connection.close()
