"""The tasks of a telemetry platform."""

from ttp.policy import RetryPolicy
from ttp.telemetry.sinks import SinkUnavailable

SINK_RETRY = RetryPolicy(max_attempts=1000, max_delay=30.0, retry_on=(SinkUnavailable,))
"""A database that is away is waited for, some hours; what it refuses is refused for good."""
