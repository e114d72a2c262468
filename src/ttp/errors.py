"""The errors a user can meet. All derive from `TtpError`; client-library errors never leak.

TtpError
├── SerializationError (ValueError)     an argument or result cannot be encoded
├── CorruptFrame (ValueError)           bytes are not what the wire format says
│   └── BadSignature                    they are not signed with an accepted key
├── QueueFull                           no room: the producer's pool, or the queue's limit
├── ServerUnavailable (ConnectionError) no answer from the server in time
│   └── ServerRefused                   the server answers, but will not serve: password, permissions, settings
├── StoreUnavailable (OSError)          the folder of on_full="store" cannot be used
├── CircuitOpen                         a circuit breaker lets no call through now
├── ResultTimeout (TimeoutError)        no result yet
├── ResultExpired                       the result was kept and is gone, or none was kept
├── TaskCancelled                       the task was cancelled before it ran
└── TaskFailed                          the task is dead; carries the remote error as text

Raised *by* handlers, to steer: `Reject`, `RetryAfter`. Raised *in* handlers: `TaskTimeout`.
"""


class TtpError(Exception):
    """Base of every error of this library."""


class SerializationError(TtpError, ValueError):
    """A value cannot be encoded; the message names where it sits, as in ``args[1]['x']``."""


class CorruptFrame(TtpError, ValueError):
    """Bytes do not follow the wire format; the message says what is wrong and where."""


class BadSignature(CorruptFrame):
    """A frame or result is not signed with an accepted key, or is signed and no key is known here."""


class QueueFull(TtpError):
    """The producer's pool is full, or the queue is at its limit. Nothing was appended."""


class ServerUnavailable(TtpError, ConnectionError):
    """No server answered in time. Says which URL, and what was tried."""


class ServerRefused(ServerUnavailable):
    """The server answers but will not serve: wrong password, missing permission, unfit setting."""


class StoreUnavailable(TtpError, OSError):
    """The folder of ``on_full="store"`` cannot be used, or belongs to another process or app."""


class CircuitOpen(TtpError):
    """The circuit breaker of a dependency lets no call through now. A handler that raises it is put off, unfailed.

    Attributes:
        retry_after: seconds after which to try again.
    """

    def __init__(self, name: str, retry_after: float) -> None:
        super().__init__(f"circuit breaker {name!r} is open; try again in {retry_after:.1f} s")
        self.retry_after = retry_after


class ResultTimeout(TtpError, TimeoutError):
    """The task has no result yet; it may still get one."""


class ResultExpired(TtpError):
    """The result's time to live is over, or no results are kept for this task."""


class TaskCancelled(TtpError):
    """The task was cancelled before it ran."""


class TaskFailed(TtpError):
    """The task failed for good.

    Attributes:
        error_type: name of the remote exception's class, as text.
        reason: its message.
        traceback: the remote traceback as text, at most 4 KiB; empty if there is none.
    """

    def __init__(self, error_type: str, reason: str, traceback: str = "") -> None:
        super().__init__(f"{error_type}: {reason}" if reason else error_type)
        self.error_type = error_type
        self.reason = reason
        self.traceback = traceback


class Reject(Exception):
    """Raise in a handler to make the task a dead letter now, whatever its retry policy."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = reason


class RetryAfter(Exception):
    """Raise in a handler to be tried again after this many seconds; the attempt is charged."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"retry after {seconds} s")
        self.seconds = float(seconds)
        self.reason = reason


class TaskTimeout(Exception):
    """Raised inside a handler whose time is up. Catch it to clean up; then let it go on."""
