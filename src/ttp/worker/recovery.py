"""Frames that are not where they should be: lost deliveries, dead workers' frames, frames behind a slow one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ttp.coordination import commands
from ttp.coordination.commands import Entry
from ttp.coordination.keys import Keys
from ttp.worker.commits import Committer
from ttp.worker.hand import Hand
from ttp.worker.inbox import Inbox
from ttp.worker.line import OUTAGE
from ttp.worker.stats import Stats
from ttp.worker.wire import Wire

log = logging.getLogger("ttp.worker")


@dataclass(frozen=True, slots=True)
class Orphan:
    """A worker whose frames are to be taken over, and its beats when it was judged, by queue."""

    crashed: bool
    beats: Mapping[Keys, int]


class Recovery:
    """Finds them and puts them right.

    Args:
        streams: every stream this worker reads, with its queue's keys.
        receive: takes entries into hand.
    """

    def __init__(
        self,
        *,
        wire: Wire,
        committer: Committer,
        hand: Hand,
        inbox: Inbox,
        stats: Stats,
        consumer: str,
        streams: Mapping[str, Keys],
        receive: Callable[[Sequence[Entry]], None],
    ) -> None:
        self._wire = wire
        self._committer = committer
        self._hand = hand
        self._inbox = inbox
        self._stats = stats
        self._consumer = consumer
        self._streams = streams
        self._receive = receive
        self._orphans: dict[str, Orphan] = {}  # by consumer

    @property
    def due(self) -> bool:
        """Some worker's frames are to be taken over."""
        return bool(self._orphans)

    def note(self, dead: Sequence[str], stalled: Sequence[str], beats: Mapping[Keys, Mapping[str, int]]) -> None:
        """These consumers' frames are to be taken over; only the dead crashed (watchdog's thread).

        Whoever is not among them any more has come back.

        Args:
            beats: of all consumers, by queue.
        """
        self._orphans = {
            name: Orphan(name in dead, {keys: seen.get(name, 0) for keys, seen in beats.items()})
            for name in (*dead, *stalled)
        }

    def claim_one(self) -> None:
        """Take over one frame of a dead or stalled worker."""
        self._wire.settle()
        orphans = self._orphans  # others may take its place meanwhile
        for name, orphan in list(orphans.items())[:1]:
            for stream, keys in self._streams.items():
                say = commands.claim(
                    keys,
                    source=stream,
                    dead=name,
                    consumer=self._consumer,
                    crashed=orphan.crashed,
                    limit=1,
                    beat=orphan.beats[keys],
                )
                entries = commands.claim_reply(stream, self._wire.connection.call(*say))
                if entries:
                    self._stats.slot.event("reclaimed", sum(entry.tasks for entry in entries))
                    log.warning("took frame %s over from %s", entries[0].id, name)
                    self._receive(entries)
                    return
            orphans.pop(name, None)

    def adopt(self) -> None:
        """Take up deliveries whose reply was lost: pending for this consumer, and not in hand."""
        self._wire.settle()
        connection = self._wire.connection
        for stream in self._streams:
            pending = commands.pending_deliveries(connection.call(*commands.pending(stream, self._consumer)))
            for entry_id, deliveries in pending.items():
                if self._hand.learn(entry_id):
                    self._hand.forget(entry_id)
                    reply = connection.call(*commands.entry(stream, entry_id))
                    self._receive(commands.range_entries(stream, reply, deliveries))

    def surrender(self, *, patience: float = OUTAGE) -> None:
        """A handler is slow: hand back the frames behind it, read or on the wire (watchdog's thread)."""
        for job in self._hand.take_waiting():
            job.cut_into(len(job.view))
            self._committer.replace(job, patience=patience)
        if not self._wire.fetching:
            return
        line = self._committer.line
        for stream, keys in self._streams.items():
            pending = commands.pending_deliveries(
                line.call(commands.pending(stream, self._consumer), patience=patience)
            )
            for entry_id, deliveries in pending.items():
                if not self._hand.learn(entry_id):
                    continue  # in hand; whatever is learnt here is passed over when the fetch's reply is read
                reply = line.call(commands.entry(stream, entry_id), patience=patience)
                for entry in commands.range_entries(stream, reply, deliveries):
                    say = self._inbox.give_back(entry, keys)
                    if say is None:  # damaged: this worker buries it when it reads it
                        self._hand.forget(entry_id)
                    else:
                        line.call(say, patience=patience)
