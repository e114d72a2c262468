"""Whether the processes of a pool are alive, and whether they are ready. Decisions, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

SILENT = 60.0  # seconds without a beat after which a process is not alive
LATE = 5.0  # seconds without a beat after which it is not ready


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One worker process.

    Attributes:
        silence: seconds since its last beat; None before the first.
        serving: it is connected and takes tasks.
        open_breakers: names of the circuit breakers that are open in it.
    """

    silence: float | None
    serving: bool
    open_breakers: tuple[str, ...] = ()


def not_alive(processes: Sequence[ProcessState]) -> list[str]:
    """Why the pool should be restarted; empty if not. A missing server is no reason: a restart mends nothing."""
    return [
        f"process {n} has not beaten for {state.silence:.0f} s"
        for n, state in enumerate(processes)
        if state.silence is not None and state.silence > SILENT
    ]


def not_ready(processes: Sequence[ProcessState], *, server: bool) -> list[str]:
    """Why the pool does not work as it should; empty if it does.

    Args:
        server: the server has answered of late.
    """
    reasons = [] if server else ["the server does not answer"]
    for n, state in enumerate(processes):
        if state.silence is None:
            reasons.append(f"process {n} has not begun")
        elif state.silence > LATE:
            reasons.append(f"process {n} has not beaten for {state.silence:.0f} s")
        elif not state.serving:
            reasons.append(f"process {n} is not connected, or is stopping")
    opened = sorted({name for state in processes for name in state.open_breakers})
    return [*reasons, *(f"circuit breaker {name} is open" for name in opened)]
