"""What became of the tasks that one process sent, by reason."""

from dataclasses import dataclass


@dataclass(slots=True)
class SendingCounts:
    """Exact counts of tasks since the process began (or was forked).

    Attributes:
        submitted: submitted or emitted, counted when their frame is closed; what is not accepted, dropped or
            refused of them is on its way.
        accepted: confirmed by the server.
        dropped: emitted, and dropped by ``on_full="drop_oldest"``.
        stored: emitted, and written to the store by ``on_full="store"``.
        forwarded: accepted out of the store, those of an earlier process included.
        resent: accepted, lost by the server, and accepted again.
        lost: accepted, lost by the server, and not kept any more: more were accepted than the resend window holds.
        refused_store: not taken by `emit` since the store had no room, and the pool stayed full.
        refused_pool: not taken by `emit` or `submit` since the producer's pool stayed full.
        refused_queue: submitted, and taken back since the queue was at its limit.
        refused_server: submitted, and taken back since no server answered in time.
    """

    submitted: int = 0
    accepted: int = 0
    dropped: int = 0
    stored: int = 0
    forwarded: int = 0
    resent: int = 0
    lost: int = 0
    refused_store: int = 0
    refused_pool: int = 0
    refused_queue: int = 0
    refused_server: int = 0
