"""What is wrong with a server and its fleet, and what to do about it. Decisions, no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ttp.coordination.discovery import WorkerSeen
from ttp.coordination.examination import Facts
from ttp.coordination.keys import WIRE
from ttp.coordination.levels import Durability

Verdict = Literal["ok", "note", "mend"]

SKEW = 1.0  # seconds between the clocks that nobody minds
SLOW_TRIP = 0.005  # seconds: each submit takes one round trip, and so does each commit of an idle worker
FULL = 0.9  # of maxmemory
MOST_NAMED = 6  # of many, in words


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        verdict: ok; note: works, but one should know; mend: tasks may be lost, or do not run.
        advice: what to do; empty where all is well.
    """

    name: str
    verdict: Verdict
    found: str
    advice: str = ""


def examine_server(facts: Facts, wanted: Durability) -> list[Finding]:
    """Judge a server.

    Args:
        wanted: the durability that apps count on.
    """
    return [
        _version(facts),
        _role(facts),
        _policy(facts),
        _memory(facts),
        *_durability(facts, wanted),
        _latency(facts),
        _skew(facts),
        *_permissions(facts),
    ]


def _version(facts: Facts) -> Finding:
    if facts.old:
        return Finding("version", "mend", f"{facts.server} is too old", "Use Redis 6.2 or later, or Valkey.")
    waitaof = "with" if facts.durability.waitaof else "without"
    return Finding("version", "ok", f"{facts.server}, {waitaof} WAITAOF")


def _role(facts: Facts) -> Finding:
    if facts.role == "master":
        return Finding("role", "ok", f"primary, {facts.durability.replicas or 0} replicas connected")
    return Finding("role", "mend", "a read-only replica", "Give the URL of its primary.")


def _policy(facts: Facts) -> Finding:
    if facts.policy is None:
        advice = "Permit INFO or CONFIG|GET, or make sure yourself that maxmemory-policy is noeviction."
        return Finding("eviction", "note", "the server does not tell its maxmemory-policy", advice)
    if facts.policy != "noeviction":
        advice = "Set maxmemory-policy noeviction, now and in its configuration: it would delete tasks."
        return Finding("eviction", "mend", f"maxmemory-policy {facts.policy}", advice)
    return Finding("eviction", "ok", "maxmemory-policy noeviction")


def _memory(facts: Facts) -> Finding:
    if facts.used is None or facts.maxmemory is None:
        return Finding("memory", "note", "the server does not tell its memory", "Permit INFO.")
    if not facts.maxmemory:
        return Finding("memory", "ok", f"{_size(facts.used)} used, no limit")
    found = f"{_size(facts.used)} of {_size(facts.maxmemory)} used"
    if facts.used >= FULL * facts.maxmemory:
        return Finding("memory", "mend", found, "Raise maxmemory, or run more workers: soon it refuses new tasks.")
    return Finding("memory", "ok", found)


def _durability(facts: Facts, wanted: Durability) -> list[Finding]:
    settings = facts.durability
    found = {
        "memory": "memory: accepted tasks are gone when the server ends",
        "everysec": "everysec: a power cut costs at most the last two seconds",
        "fsync": "fsync: on disk before it is accepted",
        "unknown": "the server does not tell its settings",
    }[settings.level]
    if why := settings.can_give(wanted):
        unknown = settings.level == "unknown" and wanted != "replica"
        advice = f"For durability {wanted!r}: {why}. If less will do, say so with --durability."
        out = [Finding("durability", "note" if unknown else "mend", found, advice)]
    else:
        out = [Finding("durability", "ok", found)]
    if facts.write_error:
        advice = "Look into the server's log, mostly the disk is full: until then nothing more is durable."
        out.append(Finding("append-only file", "mend", "its last write failed", advice))
    return out


def _latency(facts: Facts) -> Finding:
    if not facts.round_trips:
        return Finding("latency", "note", "the server does not permit TIME", "Permit TIME.")
    p50 = facts.round_trips[len(facts.round_trips) // 2]
    found = f"round trip {p50 * 1e3:.2f} ms, at worst {facts.round_trips[-1] * 1e3:.2f} ms"
    if p50 > SLOW_TRIP:
        return Finding("latency", "note", found, "Move apps and workers nearer to the server: a submit waits for it.")
    return Finding("latency", "ok", found)


def _skew(facts: Facts) -> Finding:
    ahead = "ahead of" if facts.offset >= 0 else "behind"
    found = f"the server's clock is {abs(facts.offset):.3f} s {ahead} this machine's"
    if abs(facts.offset) > SKEW:
        advice = "Run NTP on both. Delays are right all the same, by the server's clock; logs do not fit together."
        return Finding("clock", "note", found, advice)
    return Finding("clock", "ok", found)


def _permissions(facts: Facts) -> list[Finding]:
    if facts.denied:
        advice = "Permit them to this user (ACL SETUSER), on the keys ~ttp:* and the channels &ttp:*."
        return [Finding("permissions", "mend", f"not permitted: {_some(facts.denied)}", advice)]
    if facts.optional:
        advice = "ttp works without; with them it finds dead workers faster, and checks the server's settings."
        return [Finding("permissions", "note", f"not permitted: {_some(facts.optional)}", advice)]
    return [Finding("permissions", "ok", "all that ttp needs")]


QueueNumbers = tuple[str, int, int]
"""``app/queue``, tasks in it, its dead frames."""


def examine_fleet(queues: Sequence[QueueNumbers], workers: Sequence[WorkerSeen]) -> list[Finding]:
    """Judge queues, and the workers that serve them."""
    return [*_wires(workers), *_versions(workers), *_lost(workers), *_idle(queues, workers), *_dead(queues)]


def _wires(workers: Sequence[WorkerSeen]) -> list[Finding]:
    foreign = sorted({w.name for w in workers if w.report and w.report.get("wire") != WIRE})
    if foreign:
        advice = f"Bring all to one release: frames of wire version {WIRE} never reach these."
        return [Finding("wire", "mend", f"another wire version: {_some(foreign)}", advice)]
    return []


def _versions(workers: Sequence[WorkerSeen]) -> list[Finding]:
    known = {w.name: f"ttp {w.report.get('version')}, {w.report.get('core')} core" for w in workers if w.report}
    if not known:
        return []
    kinds = sorted(set(known.values()))
    found = "; ".join(f"{list(known.values()).count(kind)} × {kind}" for kind in kinds)
    if any(w.report.get("core") == "python" for w in workers):
        return [Finding("workers", "note", found, "Install the native core where it says python: that is slow.")]
    if len(kinds) > 1:
        return [Finding("workers", "note", found, "Well during a rolling deploy; else bring all to one release.")]
    return [Finding("workers", "ok", found)]


def _lost(workers: Sequence[WorkerSeen]) -> list[Finding]:
    lost = sorted({w.name for w in workers if w.connected is False})
    if not lost:
        return []
    advice = "Another worker of the queue takes their tasks over within seconds; start one if there is none."
    return [Finding("dead workers", "note", f"not connected: {_some(lost)}", advice)]


def _idle(queues: Sequence[QueueNumbers], workers: Sequence[WorkerSeen]) -> list[Finding]:
    served = {f"{w.keys.app}/{w.keys.queue}" for w in workers if w.connected is not False}
    return [
        Finding(f"queue {name}", "mend", f"{tasks:,} tasks and no worker", "Start one: ttp worker MODULE:APP.")
        for name, tasks, _ in queues
        if tasks and name not in served
    ]


def _dead(queues: Sequence[QueueNumbers]) -> list[Finding]:
    names = [name for name, _, dead_frames in queues if dead_frames]
    return (
        [Finding("dead letters", "note", f"in {_some(names)}", "See ttp dead ls: retry or drop them.")] if names else []
    )


def _some(words: Sequence[str]) -> str:
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _size(number: int) -> str:
    return f"{number / 2**20:,.1f} MiB"
