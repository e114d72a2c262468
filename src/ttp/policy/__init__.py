"""Decisions without I/O: clock and random numbers are handed in."""

from ttp.policy.breaker import CircuitBreaker
from ttp.policy.clock import Clock
from ttp.policy.retry import LONGEST, RetryPolicy

__all__ = ["LONGEST", "CircuitBreaker", "Clock", "RetryPolicy"]
