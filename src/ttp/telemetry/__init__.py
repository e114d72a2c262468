"""Telemetry: a simulated fleet, sources of events, and sinks that store each event once."""
