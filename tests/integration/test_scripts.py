"""Each script by itself, and each guard: a test that fails where the guard is taken out."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis
from real_server import Server

from ttp.coordination import commands, inspection
from ttp.coordination.commands import Command, Entry, Placement, Results
from ttp.coordination.connection import Connection, ReplyError
from ttp.coordination.keys import Keys
from ttp.coordination.scripts import SCRIPTS, Script
from ttp.errors import ServerRefused

FRAME = b"frame" * 20
DAY = 86_400_000
PRODUCER = b"producer-one"


@dataclass
class Queue:
    """A queue, with everything that a test does not care about filled in."""

    connection: Connection
    keys: Keys
    mutants: dict[str, str] = field(default_factory=dict)
    last: dict[str, int | None] = field(default_factory=dict)

    def run(self, command: Command) -> Any:
        if command[0] == "EVALSHA":
            command = (command[0], self.mutants.get(str(command[1]), command[1]), *command[2:])
        return self.connection.call(*command)

    def without(self, guard: str, instead: str = "") -> "Queue":
        """The same queue with one guard of the shipped scripts taken out."""
        mutants = {}
        for script in SCRIPTS:
            mutant = Script.of(script.name, script.text.replace(guard, instead))
            if mutant.text != script.text:
                self.connection.call("SCRIPT", "LOAD", mutant.text)
                mutants[script.sha] = mutant.sha
        assert mutants, "no script has this guard"
        return Queue(self.connection, self.keys, mutants, self.last)

    def submit(self, chain: str = "c", fid: int = 0, **changes: Any) -> tuple[str, int | None]:
        fid = fid or secrets.randbits(63) + 1
        settings: dict[str, Any] = {
            "priority": 1,
            "prev": self.last.get(chain),
            "due_ms": None,
            "tasks": 3,
            "limit": 10**9,
            "frame": FRAME,
        }
        reply = self.run(commands.submit(self.keys, chain=chain, fid=fid, **(settings | changes)))
        answer = commands.submit_reply(reply)
        if answer[0] == "OK":
            self.last[chain] = fid
        return answer

    def read(self, consumer: str = "worker-1", count: int = 10) -> list[Entry]:
        return commands.entries(self.run(commands.read_group(consumer, self.keys.streams, count, None)))

    def deliver(self, consumer: str = "worker-1", **changes: Any) -> Entry:
        assert self.submit(**changes)[0] == "OK"
        (entry,) = self.read(consumer)
        return entry

    def commit(self, entry: Entry, *placements: Placement, **changes: Any) -> tuple[str, str]:
        settings: dict[str, Any] = {"consumer": "worker-1", "tasks": entry.tasks, "size": len(entry.frame or b"")}
        reply = self.run(
            commands.commit(
                self.keys,
                source=entry.stream,
                entry_id=entry.id,
                placements=placements,
                **(settings | changes),
            )
        )
        return commands.commit_reply(reply)

    def claim(self, source: str, dead: str, consumer: str = "worker-2", *, crashed: bool = True) -> list[Entry]:
        command = commands.claim(self.keys, source=source, dead=dead, consumer=consumer, crashed=crashed, limit=10)
        return commands.claim_reply(source, self.run(command))

    def tick(self, offset_ms: int = 0) -> tuple[int, int | None]:
        return commands.tick_reply(self.run(commands.tick(self.keys, consumer="worker-1", offset_ms=offset_ms)))

    def pending(self, stream: str, consumer: str) -> list[str]:
        return commands.pending_ids(self.run(commands.pending(stream, consumer)))

    @property
    def stats(self) -> inspection.Stats:
        return inspection.stats_reply(self.connection.call_many(inspection.stats(self.keys)))

    @property
    def now_ms(self) -> int:
        seconds, micros = self.connection.call("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    def results(self, origin: int) -> dict[bytes, bytes]:
        return commands.mapping(self.run(commands.results(self.keys, origin)))


@pytest.fixture
def queue(connection: Connection, keys: Keys) -> Queue:
    return Queue(connection, keys)


@pytest.fixture
def full_memory(connection: Connection) -> Callable[[], None]:
    def fill() -> None:
        connection.call("CONFIG", "SET", "maxmemory", "1")

    return fill


def ready(fid: int = 0, **changes: Any) -> Placement:
    settings: dict[str, Any] = {"kind": "ready", "frame": b"derived", "tasks": 1, "priority": 1}
    return Placement(fid=fid or secrets.randbits(63) + 1, **(settings | changes))


class TestSubmit:
    def test_a_chain_continues_and_nothing_else_is_accepted(self, queue: Queue) -> None:
        assert queue.submit(fid=7) == ("OK", 7)
        assert queue.submit(fid=8, prev=7) == ("OK", 8)
        assert queue.submit(fid=8, prev=7) == ("NO", 8), "a duplicate"
        assert queue.submit(fid=10, prev=9) == ("NO", 8), "a gap"
        assert queue.submit(fid=9, prev=None) == ("NO", 8), "a beginning"
        assert queue.submit(fid=9, prev=5, chain="other") == ("NO", None), "a chain the server does not know"
        assert queue.stats.frames == 2

    def test_without_the_chain_a_duplicate_is_stored_twice(self, queue: Queue) -> None:
        mutant = queue.without("if last ~= ARGV[1] then return {'NO', last} end")
        for _ in range(2):
            mutant.submit(fid=7, prev=None)
        assert mutant.stats.frames == 2

    def test_ids_are_exact_beyond_what_a_double_holds(self, queue: Queue) -> None:
        fid = 2**64 - 1
        queue.connection.call("HSET", queue.keys.counters, "id", 10**15)
        assert queue.submit(fid=fid) == ("OK", fid)
        (entry,) = queue.read()
        assert entry.id == f"{10**15 + 1}-{fid}"
        assert entry.tasks == 3
        assert entry.frame == FRAME

    def test_over_the_limit_is_full_and_changes_nothing(self, queue: Queue) -> None:
        assert queue.submit(fid=7, limit=len(FRAME)) == ("OK", 7)
        before = queue.stats
        assert queue.submit(fid=8, limit=2 * len(FRAME) - 1) == ("FULL", 7)
        assert queue.stats == before
        assert queue.submit(fid=8, limit=2 * len(FRAME)) == ("OK", 8)

    def test_out_of_memory_is_full_and_changes_nothing(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        queue.submit(fid=7)
        before = queue.stats
        full_memory()
        assert queue.submit(fid=8) == ("FULL", 7)
        assert queue.submit(fid=8, due_ms=1) == ("FULL", 7)
        assert queue.stats == before

    def test_scheduled_frames_wait(self, queue: Queue) -> None:
        due = queue.now_ms + 60_000
        assert queue.submit(fid=7, due_ms=due, results_ttl_ms=DAY) == ("OK", 7)
        assert queue.read() == []
        assert queue.tick()[1] == due
        assert queue.results(7) == {b"q": str(due).encode(), b"r": b"3"}
        assert DAY + 50_000 < queue.connection.call("PTTL", queue.keys.results(7)) <= DAY + 60_000
        assert queue.stats.tasks == 0
        assert commands.backlog_reply(queue.connection.call_many(commands.backlog(queue.keys))) == 0
        assert queue.tick(offset_ms=60_001)[1] is None
        assert [entry.frame for entry in queue.read()] == [FRAME]
        assert (queue.stats.tasks, queue.stats.bytes, queue.stats.delayed_frames) == (3, len(FRAME), 0)

    @pytest.mark.parametrize("changes", [{"frame": b""}, {"tasks": 0}, {"limit": "x"}, {"due_ms": "x"}])
    def test_bad_arguments_change_nothing(self, queue: Queue, changes: dict[str, Any]) -> None:
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.submit(**changes)
        assert queue.stats.accepted == queue.stats.frames == 0


class TestCommit:
    def test_only_the_first_commit_counts(self, queue: Queue) -> None:
        entry = queue.deliver()
        assert queue.commit(entry, ready(), done=2) == ("OK", "")
        assert queue.commit(entry, ready(), done=2) == ("FENCED", "")
        assert (queue.stats.done, queue.stats.frames, queue.stats.tasks) == (2, 1, 1)
        assert queue.stats.bytes == len(b"derived")

    def test_without_the_fence_a_second_commit_counts_again(self, queue: Queue) -> None:
        mutant = queue.without("if redis.call('XACK', source, 'g', id) == 0 then", "if false then")
        entry = mutant.deliver()
        for _ in range(2):
            mutant.commit(entry, ready(), done=2)
        assert mutant.stats.done == 4

    def test_the_first_owner_to_commit_wins(self, queue: Queue) -> None:
        entry = queue.deliver("worker-1")
        (claimed,) = queue.claim(entry.stream, "worker-1")
        assert queue.commit(claimed, consumer="worker-2", done=3)[0] == "OK"
        assert queue.commit(entry, done=3)[0] == "FENCED"
        assert queue.stats.done == 3

    def test_each_placement_goes_where_it_belongs(self, queue: Queue) -> None:
        entry = queue.deliver(tasks=5)
        status, held = queue.commit(
            entry,
            ready(11, priority=2),
            Placement("held", b"held", 12, 1, 1),
            Placement("delayed", b"delayed", 13, 1, 0, due_ms=queue.now_ms + 1000),
            Placement("dead", b"dead", 14, 1, 1, errors=b"why"),
            done=1,
            retried=1,
            dead=1,
        )
        assert status == "OK"
        assert held.endswith("-12")
        assert queue.pending(queue.keys.held, "worker-1") == [held]
        assert [(e.frame, e.stream) for e in queue.read()] == [(b"derived", queue.keys.stream(2))]
        (dead,) = commands.dead_entries(queue.run(commands.dead_page(queue.keys)))
        assert (dead.tasks, dead.frame, dead.errors) == (1, b"dead", b"why")
        assert dead.id.endswith("-14")
        stats = queue.stats
        assert (stats.tasks, stats.bytes, stats.waiting) == (2, len(b"derivedheld"), 1)
        assert (stats.done, stats.retried, stats.dead, stats.dead_frames, stats.delayed_frames) == (1, 1, 1, 1, 1)
        assert commands.backlog_reply(queue.connection.call_many(commands.backlog(queue.keys))) == 3
        queue.tick(offset_ms=1001)
        assert [(e.frame, e.stream) for e in queue.read()] == [(b"delayed", queue.keys.stream(0))]
        assert queue.stats.waiting == 0
        assert queue.commit(Entry(queue.keys.held, held, 1, b"held"), done=1)[0] == "OK"

    def test_a_held_frame_is_delivered_though_a_stray_one_lies_before_it(self, queue: Queue) -> None:
        queue.connection.call("XADD", queue.keys.held, "1-1", "n", 1, "f", "stray")
        queue.connection.call("HSET", queue.keys.counters, "id", 1)
        _, held = queue.commit(queue.deliver(), Placement("held", b"held", 12, 1, 1))
        assert held in queue.pending(queue.keys.held, "worker-1")

    def test_unless_what_was_delivered_is_compared(self, queue: Queue) -> None:
        mutant = queue.without("until delivered[1][2][1][1] == held", "until true")
        queue.connection.call("XADD", queue.keys.held, "1-1", "n", 1, "f", "stray")
        queue.connection.call("HSET", queue.keys.counters, "id", 1)
        _, held = mutant.commit(mutant.deliver(), Placement("held", b"held", 12, 1, 1))
        assert held not in queue.pending(queue.keys.held, "worker-1")

    @pytest.mark.parametrize(
        "changes",
        [
            {"fid": -1},
            {"fid": 2**64},
            {"tasks": 0},
            {"frame": b""},
            {"kind": "elsewhere"},
            {"kind": "delayed", "due_ms": "soon"},
        ],
    )
    def test_a_bad_placement_leaves_the_entry_as_it_was(self, queue: Queue, changes: dict[str, Any]) -> None:
        entry = queue.deliver()
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.commit(entry, ready(), ready(**changes), done=1)
        assert queue.pending(entry.stream, "worker-1") == [entry.id]
        assert (queue.stats.frames, queue.stats.done) == (1, 0)
        assert queue.commit(entry, done=3)[0] == "OK"

    def test_unless_arguments_are_checked_first(self, queue: Queue) -> None:
        mutant = queue.without("if not sound then", "if false then")
        entry = mutant.deliver()
        with pytest.raises(ReplyError):
            mutant.commit(entry, ready(-1))
        assert mutant.stats.frames == 0, "the tasks are lost"

    @pytest.mark.parametrize("what", ["tasks", "size", "done", "offset_ms"])
    def test_bad_numbers_leave_the_entry_as_it_was(self, queue: Queue, what: str) -> None:
        entry = queue.deliver()
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.commit(entry, **{what: "many"})
        assert queue.pending(entry.stream, "worker-1") == [entry.id]

    def test_two_held_frames_are_refused(self, queue: Queue) -> None:
        entry = queue.deliver()
        with pytest.raises(ReplyError, match="BADARGS"):
            queue.commit(entry, Placement("held", b"a", 1, 1, 1), Placement("held", b"b", 2, 1, 1))
        assert queue.pending(entry.stream, "worker-1") == [entry.id]

    def test_out_of_memory_it_passes(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        entry = queue.deliver(results_ttl_ms=DAY)
        full_memory()
        status, held = queue.commit(
            entry,
            ready(),
            Placement("held", b"held", 12, 1, 1),
            Placement("delayed", b"delayed", 13, 1, 0, due_ms=1),
            results=Results(9, PRODUCER, 1000, b"blocks"),
        )
        assert (status, held[-3:]) == ("OK", "-12")

    def test_unless_the_first_write_may_be_refused(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        fence = "if redis.call('XACK', source, 'g', id) == 0 then"
        mutant = queue.without(fence, f"redis.call('HINCRBY', c, 'done', 0) {fence}")
        entry = mutant.deliver()
        full_memory()
        with pytest.raises(ReplyError, match="OOM"):
            mutant.commit(entry, done=3)

    def test_a_held_frame_needs_its_group_before_anything_is_written(self, queue: Queue) -> None:
        entry = queue.deliver()
        queue.connection.call("XGROUP", "DESTROY", queue.keys.held, "g")
        with pytest.raises(ConnectionError, match="lost the queue"):
            queue.commit(entry, Placement("held", b"held", 12, 1, 1))
        queue.connection.connect()
        assert queue.pending(entry.stream, "worker-1") == [entry.id]

    def test_children_go_to_another_queue(self, queue: Queue) -> None:
        other = Queue(queue.connection, queue.keys.sibling("other"))
        queue.connection.ensure_queue(other.keys)
        due = queue.now_ms + 60_000
        queue.commit(
            queue.deliver(),
            ready(21, queue="other", new=True, results_ttl_ms=DAY, tasks=2),
            Placement("delayed", b"later", 22, 1, 1, due_ms=due, retry=False, queue="other", new=True),
            ready(23, new=True),
            done=3,
        )
        assert [entry.frame for entry in other.read()] == [b"derived"]
        assert other.results(21) == {b"q": b"0", b"r": b"2"}
        assert (other.stats.accepted, other.stats.tasks, other.stats.waiting) == (3, 2, 0)
        assert other.tick()[1] == due
        assert (queue.stats.accepted, queue.stats.tasks) == (4, 1)

    def test_a_commit_promotes_what_is_due(self, queue: Queue) -> None:
        entry = queue.deliver()
        for fid in range(1, 11):
            queue.submit(fid=fid, due_ms=1)
        queue.commit(entry, done=3, promote=False)
        assert queue.stats.delayed_frames == 10
        queue.commit(queue.deliver(), done=3)
        assert queue.stats.delayed_frames == 10 - commands.PROMOTE_ON_COMMIT

    def test_many_cancels_are_served_at_once(self, queue: Queue) -> None:
        origin = 5
        for index in (0, 1, 2):
            queue.run(commands.cancel(queue.keys, origin=origin, index=index))
        many = [f"{origin:016x}.{index}" for index in range(1, 4097)]
        queue.commit(queue.deliver(), cancelled=3, served_cancels=many)
        assert commands.cancels_reply(queue.run(commands.cancels(queue.keys))) == [(origin, 0)]
        assert queue.stats.cancelled == 3


class TestResults:
    def test_results_are_stored_and_announced_once(self, queue: Queue, server: Server) -> None:
        origin = 2**64 - 2
        entry = queue.deliver(fid=origin, results_ttl_ms=DAY)
        listener = server.connect()
        listener.subscribe(queue.keys.channel(PRODUCER))
        for _ in range(2):
            queue.commit(entry, done=3, results=Results(origin, PRODUCER, 1000, b"blocks"))
        assert queue.results(origin) == {b"q": b"0", b"r": b"0", entry.id.encode(): b"blocks"}
        assert listener.read_message(5) == f"{origin:016x}".encode()
        assert listener.read_message(0) is None
        assert 0 < queue.connection.call("PTTL", queue.keys.results(origin)) <= 1000
        listener.close()

    def test_tasks_without_an_outcome_keep_the_hash(self, queue: Queue) -> None:
        entry = queue.deliver(fid=9, results_ttl_ms=DAY)
        due = queue.now_ms + DAY
        retry = Placement("delayed", b"retry", 10, 1, 1, due_ms=due)
        queue.commit(entry, retry, done=2, retried=1, results=Results(9, PRODUCER, 1000, b"blocks"))
        assert queue.results(9)[b"r"] == b"1"
        assert 2 * DAY - 60_000 < queue.connection.call("PTTL", queue.keys.results(9)) <= 2 * DAY
        queue.tick(offset_ms=DAY + 1)
        (again,) = queue.read()
        queue.commit(again, done=1, results=Results(9, PRODUCER, 1000, b"last"))
        assert queue.connection.call("PTTL", queue.keys.results(9)) <= 1000

    def test_a_retry_alone_is_no_outcome(self, queue: Queue) -> None:
        entry = queue.deliver(fid=9, tasks=1, results_ttl_ms=DAY)
        retry = Placement("delayed", b"retry", 10, 1, 1, due_ms=1)
        assert queue.commit(entry, retry, retried=1, results=Results(9, PRODUCER, 1000, b"b"))[0] == "OK"
        assert queue.results(9)[b"r"] == b"1"


class TestTick:
    def test_it_beats_and_promotes_out_of_memory(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        for fid in range(1, 71):
            queue.submit(fid=fid, due_ms=fid)
        full_memory()
        assert queue.tick() == (1, 65)
        assert queue.tick() == (2, None)
        assert (queue.stats.frames, queue.stats.delayed_frames, queue.stats.tasks) == (70, 0, 210)

    def test_unless_its_first_write_may_be_refused(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        mutant = queue.without("redis.call('HDEL', KEYS[1], '')")
        full_memory()
        with pytest.raises(ReplyError, match="OOM"):
            mutant.tick()


class TestClaim:
    @pytest.mark.parametrize("crashed", [True, False])
    def test_deliveries_rise_only_where_the_worker_crashed(self, queue: Queue, crashed: bool) -> None:
        entry = queue.deliver("worker-1")
        for times in range(1, 4):
            (claimed,) = queue.claim(entry.stream, "worker-1", "worker-1", crashed=crashed)
            assert (claimed.id, claimed.frame, claimed.tasks) == (entry.id, FRAME, 3)
            assert claimed.deliveries == 1 + times * crashed
        reply = queue.run(commands.pending(entry.stream, "worker-1"))
        assert commands.pending_deliveries(reply) == {entry.id: 1 + 3 * crashed}

    def test_unless_the_count_is_given(self, queue: Queue) -> None:
        mutant = queue.without(", 'RETRYCOUNT', deliveries)", ")")
        entry = mutant.deliver("worker-1")
        mutant.claim(entry.stream, "worker-1", "worker-1", crashed=False)
        reply = queue.run(commands.pending(entry.stream, "worker-1"))
        assert commands.pending_deliveries(reply) == {entry.id: 2}

    def test_out_of_memory_it_passes(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        entry = queue.deliver("worker-1")
        full_memory()
        assert [claimed.id for claimed in queue.claim(entry.stream, "worker-1")] == [entry.id]
        assert queue.claim(entry.stream, "worker-1") == []
        assert commands.beats_reply(queue.run(commands.beats(queue.keys))) == {"worker-2": 0}

    def test_an_entry_that_somebody_deleted_is_passed_over(self, queue: Queue) -> None:
        entry = queue.deliver("worker-1")
        queue.connection.call("XDEL", entry.stream, entry.id)
        assert queue.claim(entry.stream, "worker-1") == []
        assert queue.pending(entry.stream, "worker-1") == queue.pending(entry.stream, "worker-2") == []

    def test_a_consumer_is_forgotten_only_when_it_has_nothing_anywhere(self, queue: Queue) -> None:
        self._leave_something_low(queue)
        assert queue.claim(queue.keys.stream(0), "worker-1") == []
        assert commands.beats_reply(queue.run(commands.beats(queue.keys))) == {"worker-1": 1}
        assert len(queue.claim(queue.keys.stream(2), "worker-1")) == 1
        assert queue.claim(queue.keys.stream(2), "worker-1") == []
        assert commands.beats_reply(queue.run(commands.beats(queue.keys))) == {"worker-2": 0}

    def test_unless_all_streams_are_looked_at(self, queue: Queue) -> None:
        mutant = queue.without("if #redis.call('XPENDING', KEYS[i], 'g', '-', '+', 1, from) > 0 then return out end")
        self._leave_something_low(mutant)
        mutant.claim(queue.keys.stream(0), "worker-1")
        assert queue.pending(queue.keys.stream(2), "worker-1") == [], "nobody will ever find this entry"

    def _leave_something_low(self, queue: Queue) -> None:
        queue.tick()
        queue.deliver("worker-1", priority=2)


class TestBury:
    def _dead(self, queue: Queue) -> str:
        queue.commit(queue.deliver(), Placement("dead", b"dead", 14, 2, 1, errors=b"why"), dead=2)
        (dead,) = commands.dead_entries(queue.run(commands.dead_page(queue.keys)))
        return dead.id

    def _bury(self, queue: Queue, entry_id: str) -> tuple[str, str]:
        rest = bytes(16) + (77).to_bytes(8, "little") + b"rest"
        return commands.bury_reply(
            queue.run(
                commands.bury(
                    queue.keys,
                    entry_id=entry_id,
                    rest=rest,
                    rest_tasks=1,
                    rest_errors=b"still",
                    revive=b"revived",
                    revive_fid=78,
                    revive_tasks=1,
                    priority=0,
                )
            )
        )

    def test_one_is_revived_and_the_rest_stays_dead(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        entry_id = self._dead(queue)
        full_memory()
        status, rest_id = self._bury(queue, entry_id)
        assert (status, rest_id[-3:]) == ("OK", "-77")
        assert self._bury(queue, entry_id) == ("GONE", "")
        page = commands.dead_entries(queue.run(commands.dead_page(queue.keys)))
        assert [(dead.id, dead.tasks, dead.errors) for dead in page] == [(rest_id, 1, b"still")]
        assert commands.dead_entries(queue.run(commands.dead_page(queue.keys, after=rest_id))) == []
        assert [(entry.stream, entry.frame) for entry in queue.read()] == [(queue.keys.stream(0), b"revived")]
        assert (queue.stats.tasks, queue.stats.bytes) == (1, len(b"revived"))
        drop = commands.bury(queue.keys, entry_id=rest_id)
        assert commands.bury_reply(queue.run(drop)) == ("OK", "")
        assert queue.stats.dead_frames == 0

    def test_without_the_look_whether_it_is_there_it_is_revived_twice(self, queue: Queue) -> None:
        mutant = queue.without("if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return {'GONE', ''} end")
        entry_id = self._dead(mutant)
        for _ in range(2):
            self._bury(mutant, entry_id)
        assert len(mutant.read()) == 2


class TestCancel:
    def test_requests_outlast_what_is_delayed(self, queue: Queue) -> None:
        queue.run(commands.cancel(queue.keys, origin=2**64 - 1, index=4095))
        assert queue.run(commands.cancels_count(queue.keys)) == 1
        assert commands.cancels_reply(queue.run(commands.cancels(queue.keys))) == [(2**64 - 1, 4095)]
        assert queue.connection.call("PTTL", queue.keys.cancels) <= DAY
        queue.submit(due_ms=queue.now_ms + 3 * DAY)
        queue.run(commands.cancel(queue.keys, origin=1, index=0))
        assert queue.connection.call("PTTL", queue.keys.cancels) > 4 * DAY - 60_000

    def test_out_of_memory_is_refused(self, queue: Queue, full_memory: Callable[[], None]) -> None:
        full_memory()
        with pytest.raises(ServerRefused, match="OOM"):
            queue.run(commands.cancel(queue.keys, origin=1, index=0))


def test_scripts_touch_declared_keys_only(queue: Queue, server: Server) -> None:
    other = queue.keys.sibling("other")
    queue.connection.ensure_queue(other)
    with redis.Redis(unix_socket_path=str(server.socket)) as watcher, watcher.monitor() as monitor:
        entry = queue.deliver(results_ttl_ms=DAY)
        queue.submit(due_ms=1, results_ttl_ms=DAY)
        status, _ = queue.commit(
            entry,
            ready(queue="other", results_ttl_ms=DAY),
            Placement("held", b"held", 12, 1, 1),
            Placement("delayed", b"later", 22, 1, 1, due_ms=5, queue="other"),
            Placement("dead", b"dead", 14, 1, 1),
            done=1,
            served_cancels=["00.1"],
            results=Results(int(entry.id.split("-")[1]), PRODUCER, 1000, b"blocks"),
        )
        queue.tick()
        queue.claim(queue.keys.held, "worker-1")
        queue.claim(queue.keys.held, "worker-1")
        (dead,) = commands.dead_entries(queue.run(commands.dead_page(queue.keys)))
        queue.run(commands.bury(queue.keys, entry_id=dead.id, revive=b"revived", revive_fid=1, revive_tasks=1))
        queue.run(commands.cancel(queue.keys, origin=1, index=0))
        queue.run(commands.beats(queue.keys))
        queue.connection.call("PING", "end")
        touched: set[str] = set()
        declared: set[str] = set()
        scripts = 0
        for event in monitor.listen():
            words = event["command"].split(" ")
            names = {word for word in words if word.startswith("ttp:{")}
            if words == ["PING", "end"]:
                break
            if words[0] == "EVALSHA":
                scripts += 1
                declared = names
            elif event["client_type"] == "lua":
                touched |= names
                assert words[0].upper() == "PUBLISH" or names <= declared, words
    assert (status, scripts) == ("OK", 9)
    assert len(touched) > 15
    # One hash tag for all of them: they live in one slot of a cluster.
    assert {name[: name.index("}") + 1] for name in touched} == {"ttp:{plant.0}"}
