"""Each operation as a command to send, and its reply as values. No I/O.

Parsers raise `ReplyError` where the server refused the command.
"""

from collections.abc import Sequence
from typing import Any

from ttp.coordination.keys import GROUP, Keys
from ttp.coordination.records import Entry as Entry
from ttp.coordination.records import Placement as Placement
from ttp.coordination.records import Results as Results
from ttp.coordination.replies import ReplyError, checked, pairs
from ttp.coordination.scripts import BEATS, CANCEL, CLAIM, COMMIT, RESUME, SUBMIT, TICK, Script

Command = tuple[str | bytes | int | memoryview, ...]
"""What `Connection.send` takes."""

PROMOTE_ON_COMMIT = 8
PROMOTE_ON_TICK = 64
TOLD_BYTES = (
    4096  # of result blocks, signature included, that are announced whole; of larger ones, only that they are there
)


def evalsha(script: Script, keys: Sequence[str], arguments: Sequence[str | bytes | int | memoryview]) -> Command:
    """Run a script."""
    return ("EVALSHA", script.sha, len(keys), *keys, *arguments)


def _member(priority: int, tasks: int, fid: int, *, retry: bool) -> str:
    return f"{priority}:{tasks}:{'r' if retry else 's'}:{fid}"


# submit


def submit(
    keys: Keys,
    *,
    priority: int,
    chain: str,
    prev: int | None,
    fid: int,
    due_ms: int | None,
    tasks: int,
    limit: int,
    frame: bytes | memoryview,
    results_ttl_ms: int = 0,
    task_limit: int = 0,
    owner: int | None = None,
) -> Command:
    """Offer a frame. A chain is one producer's on one stream; prev is the fid of the frame before, None at first.

    Args:
        due_ms: server time from which it may run; None: now.
        limit: bytes that the queue may hold, delayed and dead frames included.
        task_limit: likewise tasks; 0: as many as there is room for.
        owner: of a chain that outlives its process, by `resume`.
        results_ttl_ms: 0, or how long the server remembers these tasks while they have no outcome.
    """
    where = [keys.chain(priority, chain), keys.counters]
    where += (keys.stream(priority),) if due_ms is None else (keys.delayed, keys.delayed_frames)
    if results_ttl_ms:
        where.append(keys.results(fid))
    return evalsha(
        SUBMIT,
        where,
        (
            "" if prev is None else str(prev),
            str(fid),
            tasks,
            limit,
            keys.sign(frame),
            results_ttl_ms,
            "" if due_ms is None else due_ms,
            "" if due_ms is None else _member(priority, tasks, fid, retry=False),
            task_limit,
            "" if owner is None else str(owner),
        ),
    )


def submit_reply(reply: Any) -> tuple[str, int | None]:
    """("OK", "NO" or "FULL", fid of the last frame the server accepted in this chain), or ("FENCED", its owner)."""
    status, last, *_ = checked(reply)
    return status.decode(), int(last) if last else None


def submit_backlog(reply: Any) -> int:
    """Frames in the stream, the accepted one included; 0 where none was accepted."""
    return int(reply[2]) if len(reply) > 2 else 0


def resume(keys: Keys, priority: int, chain: str) -> Command:
    """Become the owner of a chain that outlives its process."""
    return evalsha(RESUME, (keys.chain(priority, chain),), ())


def resume_reply(reply: Any) -> tuple[int | None, int, int]:
    """(fid of the chain's last frame or None, tasks accepted in it, number of the new owner)."""
    last, position, owner = checked(reply)
    return int(last) if last else None, int(position), int(owner)


def last_accepted(keys: Keys, priority: int, chain: str) -> Command:
    """Ask where a chain stands."""
    return ("GET", keys.chain(priority, chain))


def last_accepted_reply(reply: Any) -> tuple[int | None, int | None]:
    """(fid of the chain's last frame or None, number of its owner or None)."""
    fid, *owned = (checked(reply) or b"").decode().split(" ")
    return int(fid) if fid else None, int(owned[1]) if owned else None


# commit


def commit(
    keys: Keys,
    *,
    source: str,
    entry_id: str,
    consumer: str,
    tasks: int,
    size: int,
    placements: Sequence[Placement] = (),
    results: Results | None = None,
    done: int = 0,
    retried: int = 0,
    dead: int = 0,
    cancelled: int = 0,
    served_cancels: Sequence[str] = (),
    offset_ms: int = 0,
    promote: bool = True,
) -> Command:
    """Replace an entry by what its tasks became, all or nothing.

    Args:
        source: the stream of the entry.
        consumer: gets the held frame, if there is one (at most one).
        tasks, size: of the entry: tasks and bytes of its frame, signature included.
        served_cancels: ``<origin, 16 hex>.<index>`` of cancel requests that need no more attention.
        offset_ms: added to the server's time.
    """
    # Numbered from 1 as in the script. The source is one of the streams: named twice, so that the others keep theirs.
    names = [source, keys.counters, keys.delayed, keys.delayed_frames, *keys.streams, keys.cancels]
    arguments: list[str | bytes | int | memoryview] = [
        entry_id,
        consumer,
        tasks,
        size,
        done,
        retried,
        dead,
        cancelled,
        offset_ms,
        PROMOTE_ON_COMMIT if promote else 0,
    ]
    if results is None:
        arguments += (0, "", "", "")
    else:
        names.append(keys.results(results.origin))
        blocks = keys.sign_results(results.origin, entry_id, results.blocks)
        message = f"{results.origin:016x}".encode()
        if len(blocks) <= TOLD_BYTES:
            message += b" %b %b" % (entry_id.encode(), blocks)
        arguments += (results.ttl_ms, keys.channel(results.producer), message, blocks)
    arguments.append(len(served_cancels))
    arguments += served_cancels
    for placement in placements:
        _place(keys, placement, names, arguments)
    return evalsha(COMMIT, names, arguments)


def _place(keys: Keys, placement: Placement, names: list[str], arguments: list[str | bytes | int | memoryview]) -> None:
    """Add a placement's arguments, and the keys it needs beyond those that are named already."""
    if placement.queue is not None and placement.queue != keys.queue:
        keys = keys.sibling(placement.queue)
    delayed = placement.kind == "delayed"
    if delayed:
        key = keys.delayed
        if key not in names:
            names += (key, keys.delayed_frames)
    elif placement.kind == "ready":
        key = keys.stream(placement.priority)
    else:
        key = keys.held if placement.kind == "held" else keys.dead
    arguments += (
        placement.kind,
        str(placement.fid),
        placement.tasks,
        placement.frame if placement.unread else keys.sign(placement.frame),
        _number(names, key),
        _number(names, keys.counters),
        placement.due_ms if delayed else placement.errors,
        _member(placement.priority, placement.tasks, placement.fid, retry=placement.retry) if delayed else "",
        _number(names, keys.results(placement.fid)) if placement.results_ttl_ms else 0,
        placement.results_ttl_ms,
        int(placement.new),
    )


def _number(names: list[str], key: str) -> int:
    """The key's number in KEYS; it is added where it has none."""
    if key not in names:
        names.append(key)
    return names.index(key) + 1


def announcement(message: bytes) -> tuple[int, tuple[bytes, bytes] | None]:
    """(origin of the frame, the field that a commit has added to its results or None where that is too large)."""
    origin, *field = message.split(b" ", 2)
    return int(origin, 16), (field[0], field[1]) if field else None


def commit_reply(reply: Any) -> tuple[str, str]:
    """("OK" or "FENCED", id of the held entry or ""). FENCED: it was committed before, by whomever."""
    status, held = checked(reply)
    return status.decode(), held.decode()


# the life of a worker


def read_group(consumer: str, streams: Sequence[str], count: int, block_ms: int | None) -> Command:
    """Deliver new entries, at most count of each stream. block_ms: None returns at once, 0 waits for ever."""
    block = () if block_ms is None else ("BLOCK", block_ms)
    return (
        "XREADGROUP",
        "GROUP",
        GROUP,
        consumer,
        "COUNT",
        count,
        *block,
        "STREAMS",
        *streams,
        *(">" for _ in streams),
    )


def entries(reply: Any) -> list[Entry]:
    """What `read_group` delivered, in the order of its streams."""
    found = checked(reply)
    if not found:
        return []
    by_stream = found.items() if isinstance(found, dict) else found
    return [_entry(stream.decode(), entry_id, fields) for stream, items in by_stream for entry_id, fields in items]


def _entry(stream: str, entry_id: bytes, fields: Any, deliveries: int = 1) -> Entry:
    named = pairs(fields or ())
    return Entry(stream, entry_id.decode(), int(named.get(b"n") or 1), named.get(b"f"), deliveries)


def tick(keys: Keys, *, consumer: str, offset_ms: int = 0, report: bytes = b"") -> Command:
    """Beat, and promote due frames. A report replaces the worker's last one; empty leaves that."""
    names = (keys.workers, keys.delayed, keys.delayed_frames, *keys.streams, keys.counters)
    return evalsha(TICK, names, (consumer, offset_ms, PROMOTE_ON_TICK, report))


def tick_reply(reply: Any) -> tuple[int, int | None]:
    """(the consumer's beat, when the next delayed frame is due in ms of server time or None)."""
    beat, due = checked(reply)
    return int(beat), int(float(due)) if due else None


def beats(keys: Keys) -> Command:
    """Ask for every consumer's heartbeat."""
    return evalsha(BEATS, (keys.workers, *keys.streams, keys.held), ())


def beats_reply(reply: Any) -> dict[str, int]:
    """Consumer → heartbeat counter; 0 where entries are pending for a consumer that never beat."""
    return {name.decode(): int(beat) for name, beat in pairs(checked(reply)).items()}


def client_names() -> Command:
    """Ask for the names of all connections."""
    return ("CLIENT", "LIST")


def client_names_reply(reply: Any) -> frozenset[str] | None:
    """Names of the connections; None where the server does not tell."""
    if isinstance(reply, ReplyError):
        return None
    lines = (reply if isinstance(reply, bytes) else reply.encode()).decode(errors="replace").splitlines()
    return frozenset(word[5:] for line in lines for word in line.split(" ") if word.startswith("name="))


def unblock(client_id: int) -> Command:
    """Wake a connection that blocks; it gets the reply of a time-out."""
    return ("CLIENT", "UNBLOCK", client_id)


def claim(
    keys: Keys, *, source: str, dead: str, consumer: str, crashed: bool, limit: int, beat: int | None = None
) -> Command:
    """Take over entries of a stream from a dead or stalled consumer. It is forgotten once it has none in any stream.

    With ``dead == consumer`` a worker that has nothing left signs off.

    Args:
        beat: its heartbeat when it was judged; if that has moved since, nothing is taken.
    """
    names = (source, keys.workers, *keys.streams, keys.held)
    return evalsha(CLAIM, names, (dead, consumer, int(crashed), limit, "" if beat is None else beat))


def claim_reply(stream: str, reply: Any) -> list[Entry]:
    """The entries taken over."""
    return [
        Entry(stream, entry_id.decode(), int(tasks or 1), frame, int(deliveries))
        for entry_id, deliveries, tasks, frame in checked(reply)
    ]


def pending(stream: str, consumer: str, count: int = 1000) -> Command:
    """Ask what is delivered to a consumer and not committed."""
    return ("XPENDING", stream, GROUP, "-", "+", count, consumer)


def pending_ids(reply: Any) -> list[str]:
    """Entry ids of `pending`, oldest first."""
    return [item[0].decode() for item in checked(reply)]


def pending_deliveries(reply: Any) -> dict[str, int]:
    """Entry id → deliveries of `pending`."""
    return {item[0].decode(): int(item[3]) for item in checked(reply)}


def entry(stream: str, entry_id: str) -> Command:
    """Ask for one entry."""
    return ("XRANGE", stream, entry_id, entry_id)


def first(stream: str) -> Command:
    """Ask for the oldest entry."""
    return ("XRANGE", stream, "-", "+", "COUNT", 1)


def range_entries(stream: str, reply: Any, deliveries: int = 1) -> list[Entry]:
    """The entries of `entry` and `first`, which say nothing of how often they were delivered."""
    return [_entry(stream, entry_id, fields, deliveries) for entry_id, fields in checked(reply)]


def cancels_count(keys: Keys) -> Command:
    """Ask how many cancel requests there are."""
    return ("HLEN", keys.cancels)


def cancels(keys: Keys) -> Command:
    """Ask for the cancel requests."""
    return ("HKEYS", keys.cancels)


def cancels_reply(reply: Any) -> list[tuple[int, int]]:
    """(origin, index) of each request."""
    requests = (request.decode().split(".") for request in checked(reply))
    return [(int(origin, 16), int(index)) for origin, index in requests]


# looking on


def cancel(keys: Keys, *, origin: int, index: int, offset_ms: int = 0) -> Command:
    """Ask for a task not to be run."""
    return evalsha(CANCEL, (keys.cancels, keys.delayed), (f"{origin:016x}.{index}", offset_ms))


def results(keys: Keys, origin: int) -> Command:
    """Ask for all results of an origin frame; `mapping` reads them."""
    return ("HGETALL", keys.results(origin))


def mapping(reply: Any) -> dict[bytes, bytes]:
    """A hash."""
    return dict(pairs(checked(reply)))


def backlog(keys: Keys) -> tuple[Command, ...]:
    """Ask what a burst waits for: frames ready, pending or held, and waiting retries. Five commands."""
    return (*(("XLEN", stream) for stream in (*keys.streams, keys.held)), ("HGET", keys.counters, "waiting"))


def backlog_reply(replies: Sequence[Any]) -> int:
    """The sum over the replies to one or more backlogs: 0 when nothing is left to do."""
    return sum(int(checked(reply) or 0) for reply in replies)
